"""Verdicts on the rows of a model, output by output."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec

Batching = Literal["auto", "proved"] | bool
"""When requests may share batches: if checked, only if proved, always, or never."""


class Verdict(StrEnum):
    """The verdict on the rows of one output."""

    PROVED = "proved"
    """The graph proves that each row depends only on the same row of the inputs."""
    TESTED = "tested"
    """Rows kept their bits with all neighbours that were tried; there is no proof."""
    COUPLED = "coupled"
    """A row changed with its neighbours, or the output has no batch axis."""
    RANDOM = "random"
    """The same inputs gave different values, so nothing can be said."""
    UNKNOWN = "unknown"
    """Neither the proof nor the test was completed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding on one output.

    Attributes:
        output: its name.
        verdict: see `Verdict`.
        axis: its batch axis; None if there is none, or none was found.
        why: the evidence, or the obstacle; a clause without a full stop.
        beside: the neighbours that changed it, e.g. "rows times 1e6"; "" if none did.
        difference: the largest absolute difference they caused; inf for another shape or a NaN.
    """

    output: str
    verdict: Verdict
    axis: int | None = 0
    why: str = ""
    beside: str = ""
    difference: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether requests share batches, and the evidence.

    Attributes:
        batched: requests share batches; otherwise every request runs alone.
        reason: the reason in a clause.
        findings: one per output; empty if nothing was examined.
        seconds: the duration of the examination.
    """

    batched: bool
    reason: str
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{'batched' if self.batched else 'alone'}: {self.reason}"


class Trial(Protocol):
    """A loaded model that runs on whole arrays; backends provide it for the check.

    Attributes:
        inputs: in the model's order, with the shapes that the file declares.
        outputs: in the model's order.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run on whole arrays in the order of the inputs, and return the outputs unchanged, in
        their order. Raises the exceptions of the runtime."""

    def stop(self) -> None:
        """End the current run, if possible, and refuse further ones. Thread-safe."""

    def close(self) -> None:
        """Free the resources of the trial; the model itself stays open."""
