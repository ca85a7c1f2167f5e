"""Rules by operator: each returns what is known about the outputs, or says why nothing is.

A rule may rely on the inputs being proved. It must not prove an output any row of which depends on
another row, on the number of rows or on its place among them.
"""

from trtasync.rows.proof.rules import (
    classic,
    cutting,
    dynamic,
    elementwise,
    growing,
    images,
    indexing,
    losses,
    products,
    recurrent,
    reductions,
    resizing,
    shapes,
    signals,
)

__all__ = [
    "classic",
    "cutting",
    "dynamic",
    "elementwise",
    "growing",
    "images",
    "indexing",
    "losses",
    "products",
    "recurrent",
    "reductions",
    "resizing",
    "shapes",
    "signals",
]
