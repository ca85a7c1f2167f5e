"""Reports on models and plans, and on checks."""
