"""The declared tensors of a model: names, dtypes, shapes, axes, profiles."""
