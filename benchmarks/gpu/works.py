"""The models under load, each as the engine opens it and as the yardsticks call it."""

from dataclasses import dataclass

import numpy as np

from support.gpu import kernels, resnet
from support.gpu.hardware import Array
from support.gpu.kernels import Kernel
from support.gpu.plans import Shape, resnet_plan, tiny_plan

CLIENTS = 256


@dataclass(frozen=True)
class Work:
    """A model.

    Attributes:
        name: for the results.
        plan: what the engine opens.
        kernel: what runs on the GPU, whoever calls it.
        row: shape of one input row.
        dtype: of the input.
        answer: shape of one output row; its dtype is float32.
        near: how much answers may differ, as a fraction of the largest number: another batch size
            may mean another algorithm.
    """

    name: str
    plan: bytes
    kernel: Kernel
    row: Shape
    dtype: str
    answer: Shape
    near: float

    def rows(self, count: int = CLIENTS) -> list[Array]:
        """This many different rows, each in ordinary memory of its own.

        Neighbours differ in brightness, so that half precision cannot hide a swapped answer.
        """
        random = np.random.default_rng(5)
        return [self._row(random, 0.25 + index * 97 % count / count) for index in range(count)]

    def _row(self, random: np.random.Generator, brightness: float) -> Array:
        if self.dtype == "uint8":
            return random.integers(0, int(1 + 200 * brightness), self.row, dtype=np.uint8)
        return random.standard_normal(self.row, dtype=np.float32) * np.float32(brightness)


def tiny_work() -> Work:
    """A 3072 x 10 matrix: 12 KB per request, a few microseconds per batch."""
    kernel = kernels.tiny()
    row, answer = (kernels.COLUMNS,), (kernels.CLASSES,)
    return Work("tiny", tiny_plan(kernel), kernel, row, "float32", answer, 1e-4)


def resnet_work(model: resnet.ResNet50, dtype: str) -> Work:
    """ResNet-50 in half precision."""
    kernel = model.kernel(dtype)
    plan, answer = resnet_plan(kernel, dtype), (resnet.CLASSES,)
    return Work(f"resnet50 {dtype}", plan, kernel, resnet.IMAGE, dtype, answer, 0.03)
