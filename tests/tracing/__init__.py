"""What OpenTelemetry is told, as an exporter gets it."""
