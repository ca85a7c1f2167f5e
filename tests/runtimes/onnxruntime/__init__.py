"""ONNX Runtime behind the seam."""
