"""The doubles keep the rules of CUDA and TensorRT."""
