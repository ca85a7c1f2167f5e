"""Operators that draw random numbers."""

from typing import Final

import numpy as np

from trtasync.rows.proof.calls import Call

RANDOM: Final = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)


def draws(call: Call) -> bool:
    """Whether a node draws random numbers; True if that is not known."""
    if call.operator == "Dropout":
        return _trains(call)
    return call.operator in RANDOM


def _trains(call: Call) -> bool:
    if call.version < 7:
        return not call.integer("is_test", 0)
    if call.version < 12 or not call.has(2):
        return False
    mode = call.raw(2).values
    return mode is None or mode.dtype == object or bool(np.any(mode))
