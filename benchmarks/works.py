"""What the systems of a process compute: the product, or what the process's variables name."""

import os

from benchmarks.recogniser.model import RECOGNISER, VARIABLE
from benchmarks.systems import PRODUCT, Work, echo, first_columns
from benchmarks.yardsticks import Model

MODELS: dict[str, Model] = {
    PRODUCT.name: PRODUCT.model,
    "first columns": first_columns,
    "echo": echo,
    RECOGNISER.name: RECOGNISER.model,
}
"""By name; answers are checked by them."""


def work() -> Work:
    """What this process was started for."""
    return RECOGNISER if VARIABLE in os.environ else PRODUCT
