"""Other people's models: ONNX Runtime judges what an engine answers."""
