"""Engines behind the Open Inference Protocol: what `pip install "trtasync[server]"` is for.

`protocol` turns bytes into arrays and back, and knows no socket; `models` holds engines by name;
`asgi` is the application over both.
"""
