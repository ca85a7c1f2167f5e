"""All of them: `python -m tests.onnx_backend [--only WORD] [--json PATH]`."""
