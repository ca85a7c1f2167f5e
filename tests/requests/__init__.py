"""Reading requests, and what answers keep alive."""
