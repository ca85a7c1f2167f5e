"""Engines behind the Open Inference Protocol: what the extras `server` and `grpc` are for.

`protocol` turns bytes into arrays and back, and knows no socket; `models` holds engines by name.
Over both are three doors: `asgi` is an application, `fast` and `grpc` are servers of their own.
"""
