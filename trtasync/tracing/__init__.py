"""Who asks, as far as tracing goes, and what OpenTelemetry is told of it."""
