"""The client's side of an engine that processes share."""
