"""ONNX Runtime itself as the judge of what an engine answers, alone and in company."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

from tests.judging.judgements import Judgement, Outcome
from trtasync import Engine, InvalidInput, PlanError, TrtasyncError, open_engine
from trtasync.core.records import BatchRecord
from trtasync.engine import watch

Array = npt.NDArray[Any]
Feed = dict[str, Any]

PATIENCE = 60.0
"""Seconds after which a model that has not answered counts as hanging."""

TOLERANCES: Mapping[Any, float] = {np.float64: 1e-9, np.float32: 1e-4, np.float16: 1e-2}
"""How far an answer from a batch may lie from the lone one, of the largest number in that answer.

Another batch size or place changes the order in which a kernel adds. On models whose rows are
independent that made 4e-5 of the largest number at most in float32 (docs/model-coverage.md); a
neighbour that shines through made 1e-3 or more. float16 and float64 are scaled by their precision.
Whole numbers and booleans must be equal, those of a quantized model within one step.
"""

RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial"}
    | {f"Random{kind}{like}" for kind in ("Normal", "Uniform") for like in ("", "Like")}
)


@dataclass(frozen=True, slots=True)
class Traits:
    """What may be demanded of a model's answers.

    Attributes:
        random: only shapes and dtypes can be compared.
        quantized: whole numbers may differ by one when batch sizes do.
    """

    random: bool = False
    quantized: bool = False


class NotRun(Exception):
    """ONNX Runtime itself does not load the model."""


class Oracle:
    """A session of ONNX Runtime with the settings the engine uses, one run for every request.

    Raises:
        NotRun: instead of what the runtime raises.
    """

    def __init__(self, model: Path | bytes):
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would start a thread at the first import
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's exceptions share no base class
            raise NotRun from error
        self.inputs = [node.name for node in self._session.get_inputs()]
        self.outputs = [node.name for node in self._session.get_outputs()]

    def answer(self, feed: Feed) -> dict[str, Any] | None:
        """The outputs by name, or None when the runtime does not take this request."""
        try:
            found = self._session.run(None, dict(feed))
        except Exception:  # the runtime's exceptions share no base class
            return None
        return dict(zip(self.outputs, found, strict=True))


class RowOracle(Oracle):
    """What one row of a model of a fixed batch deserves: the model is run on copies of it.

    A model whose rows see each other answers otherwise when it is run beside other rows.
    """

    def __init__(self, model: Path | bytes, batched: Collection[str], rows: int):
        """Give the inputs with a batch axis, and how long that is."""
        super().__init__(model)
        self._batched, self._rows = batched, rows

    def answer(self, feed: Feed) -> dict[str, Any] | None:
        full = {
            name: np.repeat(value, self._rows, axis=0) if name in self._batched else value
            for name, value in feed.items()
        }
        found = super().answer(full)
        if found is None:
            return None
        return {
            name: value[:1] if has_axes(value) and len(value) == self._rows else value
            for name, value in found.items()
        }


def has_axes(value: Any) -> bool:
    """An array that is no scalar, not a sequence of arrays."""
    return isinstance(value, np.ndarray) and value.ndim > 0


@dataclass
class _Watched:
    """Which batches an engine ran since `clear`."""

    records: list[BatchRecord] = field(default_factory=list)

    def alone(self, requests: int) -> bool:
        """Every one of so many requests ran as it would have without an engine."""
        return len(self.records) == requests and all(
            len(record.arrivals) == 1 and record.rows == record.run_rows for record in self.records
        )


async def judge(
    name: str, path: Path, oracle: Oracle, feeds: Sequence[Feed], traits: Traits, **options: Any
) -> Judgement:
    """Ask an engine the first of `feeds` alone, then all of them at once.

    Args:
        name: of the model, for the judgement.
        path: the model's file.
        oracle: of the same model; takes every one of `feeds`.
        feeds: requests, arrays by input name.
        traits: of the model.
        options: for `open_engine`.
    """
    expected = [oracle.answer(feed) for feed in feeds]
    stage, watched, shared = "open", _Watched(), False
    try:
        with anyio.fail_after(PATIENCE):
            async with AsyncExitStack() as stack:
                opening = open_engine(path, backend="onnxruntime", threads=1, **options)
                engine = await stack.enter_async_context(opening)
                watch(engine, watched.records.append)
                for stage, asked in (("alone", feeds[:1]), ("together", feeds)):
                    watched.records.clear()
                    answers = await _ask(engine, asked)
                    exact = "padding" not in options and watched.alone(len(asked))
                    shared |= any(len(record.arrivals) > 1 for record in watched.records)
                    if found := _first_difference(answers, expected, traits, exact):
                        return Judgement(name, Outcome.WRONG, stage, found, shared)
                    errors = [answer for answer in answers if isinstance(answer, Exception)]
                    if errors:
                        raise min(errors, key=_is_refusal)  # a failure says more than a refusal
    except Exception as error:  # whatever it is, it is no answer
        outcome = Outcome.REFUSED if _is_refusal(error) else Outcome.UNCLEAR
        return Judgement(name, outcome, stage, _line(error), shared)
    return Judgement(name, Outcome.RIGHT, stage, shared=shared)


def _first_difference(
    answers: Sequence[Any], expected: Sequence[Any], traits: Traits, exact: bool
) -> str:
    """Of those requests that were answered."""
    found = (
        difference(answer, wanted, traits, exact)
        for answer, wanted in zip(answers, expected, strict=False)
        if not isinstance(answer, Exception)
    )
    return next(filter(None, found), "")


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, (PlanError, InvalidInput))


async def _ask(engine: Engine, feeds: Sequence[Feed]) -> list[Any]:
    """The answers of requests that are on their way at the same time, or their exceptions."""
    answers: list[Any] = [None] * len(feeds)

    async def ask(index: int) -> None:
        try:
            answers[index] = await engine.infer(feeds[index])
        except Exception as error:
            answers[index] = error

    async with anyio.create_task_group() as tasks:
        for index in range(len(feeds)):
            tasks.start_soon(ask, index)
    return answers


def _line(error: Exception) -> str:
    kind = type(error).__name__ if isinstance(error, TrtasyncError) else repr(type(error))
    return f"{kind}: {' '.join(str(error).split())}"


def difference(answer: Any, wanted: Any, traits: Traits, exact: bool) -> str:
    """In what `answer` is not `wanted`, both by output name; "" when it is all right.

    Args:
        exact: every bit counts, because the request ran as it would have run alone.
    """
    if set(answer) != set(wanted):
        return f"outputs {sorted(answer)}, expected {sorted(wanted)}"
    found = (_differs(answer[name], wanted[name], traits, exact) for name in wanted)
    return "; ".join(f"{name}: {text}" for name, text in zip(wanted, found, strict=True) if text)


def _differs(answer: Any, wanted: Any, traits: Traits, exact: bool) -> str:
    answer, wanted = np.asarray(answer), np.asarray(wanted)
    if (answer.shape, answer.dtype) != (wanted.shape, wanted.dtype):
        return f"{answer.dtype}{answer.shape}, expected {wanted.dtype}{wanted.shape}"
    if traits.random or answer.tobytes() == wanted.tobytes():
        return ""
    if exact:
        return f"other bits, {_distance(answer, wanted):.2g} of the largest number"
    if np.issubdtype(wanted.dtype, np.inexact):
        far, allowed = _distance(answer, wanted), TOLERANCES[wanted.dtype.type]
        return "" if far <= allowed else f"{far:.2g} of the largest number away"
    steps = int(np.abs(answer.astype(np.int64) - wanted.astype(np.int64)).max())
    return "" if traits.quantized and steps <= 1 else f"{steps} away"


def _distance(answer: Array, wanted: Array) -> float:
    """The largest difference, of the largest finite number; inf when a NaN or an inf differs."""
    answer, wanted = answer.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(wanted)
    if not np.array_equal(
        np.where(finite, 0, wanted), np.where(np.isfinite(answer), 0, answer), True
    ):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = float(np.abs(wanted[finite]).max()) or 1.0
    return float(np.abs(answer[finite] - wanted[finite]).max()) / scale


def silence() -> None:
    """Keep the library's warnings about single models out of a report on many."""
    logging.getLogger("trtasync").setLevel(logging.CRITICAL)
