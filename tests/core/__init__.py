"""Lanes, isolation of failures, the watchdog, metrics: through the engine."""
