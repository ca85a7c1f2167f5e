"""The engine on a real GPU, against what the GPU can do: `python -m benchmarks.gpu`.

TensorRT is a double here (`support/doubles`); its kernels, CUDA and everything above are real.
"""
