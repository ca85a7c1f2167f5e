"""What a model says of its tensors: names, dtypes, shapes, axes, profiles."""
