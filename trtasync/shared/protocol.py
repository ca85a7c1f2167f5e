"""What every engine can do, whether it runs in this process or in one that others share."""

from collections.abc import Sequence
from typing import Any, Protocol, overload

from trtasync.core.metrics import Statistics
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.requests.answers import LentAnswer
from trtasync.requests.array_types import Copied, Given, GivenArray, GivenArrays, Host, Lent
from trtasync.rows import Judgement


class AnyEngine(Protocol):
    """An engine of this process (`Engine`), or one that processes share (`shared=True`).

    Attributes:
        name: what it is called in log lines, warnings and thread names.
    """

    name: str

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs, in order."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs, in order."""

    @property
    def batching(self) -> Judgement:
        """Whether requests share batches, and what is known about each output's rows."""

    def empty_input(
        self,
        rows: int | None = None,
        *,
        name: str | None = None,
        shape: Sequence[int] | None = None,
    ) -> Array:
        """A numpy array for a request, which is not copied again. See `Engine.empty_input`."""

    @overload
    async def infer(
        self, inputs: GivenArrays, *, priority: int = 0, outputs: Host = "host", copy: Copied = True
    ) -> dict[str, Array]: ...
    @overload
    async def infer(
        self, inputs: GivenArray, *, priority: int = 0, outputs: Host = "host", copy: Copied = True
    ) -> Array | Any: ...
    @overload
    async def infer(
        self, inputs: GivenArrays, *, priority: int = 0, outputs: Host = "host", copy: Lent
    ) -> LentAnswer[dict[str, Array]]: ...
    @overload
    async def infer(
        self, inputs: GivenArray, *, priority: int = 0, outputs: Host = "host", copy: Lent
    ) -> LentAnswer[Array | Any]: ...
    @overload
    async def infer(
        self, inputs: Given, *, priority: int = 0, outputs: Host = "host", copy: bool
    ) -> Any: ...
    async def infer(
        self, inputs: Given, *, priority: int = 0, outputs: Host = "host", copy: bool = True
    ) -> Any:
        """Run the model on one request, in a batch with whatever else waits. See `Engine.infer`."""

    @property
    def is_alive(self) -> bool:
        """Whether there is something to compute on, so that requests are answered now."""

    def statistics(self) -> Statistics:
        """A snapshot of what the engine has done and is doing."""

    async def aclose(self, drain: bool = True) -> None:
        """Close the engine. See `Engine.aclose`."""
