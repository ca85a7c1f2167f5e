"""The version of the library, where all floors can reach it."""

__version__ = "0.1.0.dev0"
