"""The life of requests: answers, order, cancellation, deadlines, closing."""
