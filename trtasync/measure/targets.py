"""What loads are applied to: an engine that is opened for it, or whatever else answers requests."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtasync.core.metrics import Meter, Statistics
from trtasync.engine import Engine
from trtasync.measure.driving import Infer
from trtasync.measure.machine import facts
from trtasync.measure.opened import Opened, open_tapped
from trtasync.model.tensors import TensorSpec


def _nothing() -> Statistics:
    """Of what counts nothing that could be seen from here."""
    return Meter().snapshot(queued=0, in_flight=0, waiting=0, rejected=0, expired=0, streams=())


@dataclass(frozen=True, slots=True)
class Target:
    """It answers requests.

    Attributes:
        model: its name.
        backend: what runs it.
        about: date, hardware and versions, for the report.
        inputs: of the model.
        infer: asks it, with what `prepare` has made of a request.
        prepare: makes that, once for each request.
        statistics: what its engine has counted.
        parameters: what else the report tells of it.
        opened: the engine, where it is one of this process.
    """

    model: str
    backend: str
    about: Mapping[str, Any]
    inputs: Sequence[TensorSpec]
    infer: Infer
    prepare: Callable[[Any], Any] = lambda request: request
    statistics: Callable[[], Statistics] = _nothing
    parameters: Mapping[str, Any] = field(default_factory=dict)
    opened: Opened | None = None

    @property
    def engine(self) -> Engine:
        """That of this process. There must be one."""
        assert self.opened is not None
        return self.opened.engine


class Subject(ABC):
    """What is measured, not open yet."""

    @abstractmethod
    def opened(self) -> AbstractAsyncContextManager[Target]:
        """Open it. Raises TrtasyncError where that fails."""


class Local(Subject):
    """An engine of this process."""

    def __init__(self, model: Any, options: Mapping[str, Any]):
        """The arguments of `open_engine`."""
        self._model = model
        self._options = dict(options)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Target]:
        """See `Subject.opened`."""
        model = self._model
        async with open_tapped(model, self._options) as opened:
            tap = opened.tap
            yield Target(
                model=str(model) if isinstance(model, (str, Path)) else type(model).__name__,
                backend=tap.name,
                about=facts(tap.backend),
                inputs=opened.engine.inputs,
                infer=opened.engine.infer,
                statistics=opened.engine.statistics,
                parameters={
                    "streams": len(tap.lanes),
                    "largest_batch": tap.largest,
                    "options": {
                        name: _plain(value)
                        for name, value in self._options.items()
                        if value is not None
                    },
                },
                opened=opened,
            )


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else str(value)
