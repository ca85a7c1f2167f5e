"""The doubles and our own calls against the genuine bindings of TensorRT."""
