"""Families of operators that random graphs are made of."""
