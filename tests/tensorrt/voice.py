"""A voice detector in small: its rows lie along other axes than the first, and share an input."""

from typing import Any

import numpy as np

from support.doubles import models
from support.helpers import Array, same
from tests.tensorrt.support import tensor

AXES = {"state": 1, "input": 0, "sr": None, "output": 0, "stateN": 1}


def step(input_: Array, state: Array, sr: Array) -> tuple[Array, Array]:
    """Every element tells where it came from."""
    rate = sr.astype(np.float32)
    output = input_ * rate + state.sum(axis=(0, 2), keepdims=False)[:, None]
    return output, state * np.float32(2) + rate


def recurrent() -> models.Model:
    """A voice detector in small: input[n, 3], state[2, n, 5], sr -> output[n, 3], stateN."""
    inputs = [
        tensor("input", (-1, 3), ((1, 3), (4, 3), (8, 3))),
        tensor("state", (2, -1, 5), ((2, 1, 5), (2, 4, 5), (2, 8, 5))),
        tensor("sr", (), ((), (), ()), dtype=np.int64),
    ]
    outputs = [
        tensor("output", (-1, 3)),
        tensor("stateN", (2, -1, 5), infer=lambda known: known["state"]),
    ]
    return models.Model("recurrent", inputs, outputs, models.host_kernel(step))


def request(rng: np.random.Generator, count: int, rate: int) -> dict[str, Array]:
    """So many rows."""
    return {
        "input": rng.integers(-9, 9, (count, 3)).astype(np.float32),
        "state": rng.integers(-9, 9, (2, count, 5)).astype(np.float32),
        "sr": np.array(rate),
    }


def right(answer: Any, asked: dict[str, Array]) -> bool:
    """To the last bit, in shapes too."""
    output, state = step(asked["input"], asked["state"], asked["sr"])
    return same(answer["output"], output) and same(answer["stateN"], state)
