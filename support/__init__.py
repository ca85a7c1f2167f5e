"""What tests and benchmarks share: doubles of CUDA and TensorRT, models on a GPU, helpers."""
