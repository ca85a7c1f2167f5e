"""Timing caches and blocks of memory of the double of `tensorrt`."""

import hashlib
import json
from typing import Any, Self

from support.doubles.trt_names import DataType, Logging

TIMING = b"ftrt-timing\n"


class IHostMemory(bytes):
    """A block of memory: a buffer, of which nothing but `nbytes` tells the size."""

    def __new__(cls, content: bytes) -> Self:
        return super().__new__(cls, content)

    @property
    def nbytes(self) -> int:
        """Its size."""
        return memoryview(self).nbytes

    # None: Python's way of saying that a class has not what its base has
    __len__ = __getitem__ = __iter__ = None  # type: ignore[assignment]  # mypy knows no such way

    @property
    def dtype(self) -> DataType:
        """Of plans."""
        return DataType.INT8


class ITimingCache(Logging):
    """How fast tactics were."""

    _head: dict[str, str]
    _entries: dict[str, float]

    @classmethod
    def _make(cls, logger: Any, head: dict[str, str], entries: dict[str, float]) -> "ITimingCache":
        cache = cls()
        cache._logger, cache._head, cache._entries = logger, head, entries
        return cache

    def _suits(self, head: dict[str, str], ignore_mismatch: bool) -> bool:
        same_version = self._head["version"] == head["version"]
        return same_version and (ignore_mismatch or self._head == head)

    def combine(self, input_cache: "ITimingCache", ignore_mismatch: bool) -> bool:
        """Adds what is not there yet. False when the other is of another version or device."""
        if not input_cache._suits(self._head, ignore_mismatch):
            return self._refuse("ITimingCache::combine: the caches do not match")
        self._entries = {**input_cache._entries, **self._entries}
        return True

    def serialize(self) -> IHostMemory:
        """For a file."""
        body = TIMING + json.dumps([self._head, self._entries]).encode()
        return IHostMemory(body + hashlib.sha256(body).digest())

    def reset(self) -> bool:
        """Forget all."""
        self._entries = {}
        return True

    def queryKeys(self) -> list[str]:  # noqa: N802 - TensorRT's own name
        """Of all entries."""
        return list(self._entries)


def read_timing(data: bytes) -> tuple[dict[str, str], dict[str, float]] | None:
    body, digest = data[:-32], data[-32:]
    if not body.startswith(TIMING) or hashlib.sha256(body).digest() != digest:
        return None
    head, entries = json.loads(body[len(TIMING) :])
    return head, entries
