"""What can be said of the rows of a model, output by output."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy.typing as npt

from trtasync.model.tensors import TensorSpec

Array = npt.NDArray[Any]

Batching = Literal["auto", "proved"] | bool
"""What the user wants: what was checked, only what is proved, by all means, or by no means."""


class Verdict(StrEnum):
    """How it stands with the rows of one output."""

    PROVED = "proved"
    """The graph shows that a row of it depends on the same row of the inputs only."""
    TESTED = "tested"
    """Rows kept their bits beside all neighbours that were tried; there is no proof."""
    COUPLED = "coupled"
    """A row changed with its neighbours, or the output has no axis along which rows lie."""
    RANDOM = "random"
    """The same inputs gave other values: nothing can be told."""
    UNKNOWN = "unknown"
    """Neither a proof nor a test came to an end."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one output.

    Attributes:
        output: its name.
        verdict: see there.
        axis: along which its rows lie; None when there is none, or none was found.
        why: the evidence, or what stood in the way; a clause without a full stop.
        beside: which neighbours changed it, e.g. "rows times 1e6"; "" where none did.
        difference: the largest absolute difference they made; inf for another shape or a NaN.
    """

    output: str
    verdict: Verdict
    axis: int | None = 0
    why: str = ""
    beside: str = ""
    difference: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether requests share batches, and what that rests on.

    Attributes:
        batched: they do; otherwise every request runs alone.
        reason: in a clause.
        findings: per output; empty where nothing was examined.
        seconds: that the examination took.
    """

    batched: bool
    reason: str
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{'batched' if self.batched else 'alone'}: {self.reason}"


class Trial(Protocol):
    """A loaded model, run on whatever it is given: what backends hand to the check.

    Attributes:
        inputs: in the model's order; their shapes are what the file declares.
        outputs: in the model's order.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run: full arrays in the order of the inputs, outputs in theirs, as the model gives
        them. Raises whatever the runtime raises."""

    def stop(self) -> None:
        """End the run under way, if that can be done, and refuse further ones. From any thread."""

    def close(self) -> None:
        """Free what the trial holds; the model itself stays open."""
