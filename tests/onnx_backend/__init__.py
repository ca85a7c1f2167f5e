"""The model tests of the onnx package."""
