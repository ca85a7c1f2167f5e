"""From a model file and options to an engine."""
