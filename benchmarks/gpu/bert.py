"""A text encoder of BERT-base's size, texts of real lengths padded to common ones: the engine
against the very batches that it ran, and against full ones. `python -m benchmarks.gpu.bert`.

Two ceilings in every round, both without the engine: "same batches" runs what the engine has just
run, padding included, so the ratio is the cost of gathering, waiting and answering; "full batches"
serves the same requests in the fullest possible batches, so that ratio also includes the cost of
forming batches from whatever arrives.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.gpu import schedule, texts
from benchmarks.gpu.plain_texts import PlainTexts
from benchmarks.gpu.results import LiveTable, begin, finish
from benchmarks.gpu.schedule import Run
from benchmarks.gpu.systems import load
from benchmarks.load import Sample
from benchmarks.report import cell_name
from benchmarks.table import Ratio
from support.gpu.bert import ANSWER, BASE, DTYPE, IDS, MASK, Bert, Size
from support.gpu.hardware import Array
from support.gpu.kernels import Kernel
from support.gpu.plans import BUCKETS, bert_plan, opened
from trtasync import Pad
from trtasync.core.records import BatchRecord
from trtasync.engine import watch
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop
from trtasync.measure.statistics import rates

LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Tokens that texts are padded to."""
STREAMS = (2, 3)
LOOP: Loop = "asyncio"
CLIENTS = 512
TEXTS = 8192
"""Different requests, asked in turn."""
WARM_UP = 0.5
CHECKED = 24
NEAR = 0.03
"""How far answers may lie apart, which are about 1: half precision, in other kernels. Without the
mask they are 0.5 and more apart."""
SEED = 3


class Model(Protocol):
    """The measured model; `support.gpu.bert.Bert` on a GPU."""

    size: Size

    def kernel(self) -> Kernel:
        """For the plan, and for the ceilings."""

    def answer(self, ids: Array, mask: Array | None = None) -> Array:
        """The answer to one text alone."""

    def trim(self) -> None:
        """Free what is not used."""


@dataclass(frozen=True)
class Setup:
    """What to run, and for how long.

    Attributes:
        lengths: to which texts are padded, ascending.
        sizes: batch sizes, ascending.
        streams: the numbers of streams tried.
        clients: concurrent clients.
        rounds: samples of every cell.
        seconds: length of each.
        warm_up: seconds before each.
    """

    lengths: Sequence[int] = LENGTHS
    sizes: Sequence[int] = BUCKETS
    streams: Sequence[int] = STREAMS
    clients: int = CLIENTS
    rounds: int = 3
    seconds: float = 1.5
    warm_up: float = WARM_UP


Text = dict[str, Array]


def make_texts(found: Sequence[int], count: int, words: int, seed: int = SEED) -> list[Text]:
    """Requests with lengths drawn from those found; their tokens are anything but padding (0)."""
    draw, tokens = random.Random(seed), np.random.default_rng(seed)
    return [
        {
            IDS: tokens.integers(1, words, length).astype(DTYPE),
            MASK: np.ones(length, DTYPE),
        }
        for length in draw.choices(found, k=count)
    ]


class Bench:
    """A model, its requests, its ceilings, and where the samples go.

    Attributes:
        table: of samples.
        opening: streams -> seconds it took to open the engine, every graph captured.
        errors: largest difference found, by what was compared.
    """

    def __init__(self, model: Model, setup: Setup, found: Sequence[int]):
        """Check the ceilings' answers before anything is measured.

        Args:
            model: what is run.
            setup: how.
            found: lengths to draw from.
        """
        self.table = LiveTable()
        self.opening: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self._model = model
        self._setup = setup
        self._texts = make_texts(found, TEXTS, model.size.words)
        self._next = 0
        self._true_tokens = 0
        self._asked: Counter[int] = Counter()
        self._plan = bert_plan(model.kernel(), model.size)
        self._plain = PlainTexts(
            model.kernel(), model.size, max(setup.streams), setup.sizes, setup.lengths
        )
        self._sample = self._texts[:CHECKED]
        self._expected = [model.answer(text[IDS]) for text in self._sample]
        self._check_power()
        self._check_plain()

    def _check_power(self) -> None:
        """A model that overlooked its mask would be found out.

        Raises:
            AssertionError: it would not.
        """
        text = next(text for text in self._texts if len(text[IDS]) not in self._setup.lengths)
        length = texts.padded([len(text[IDS])], self._setup.lengths)[0]
        ids = np.zeros(length, DTYPE)
        ids[: len(text[IDS])] = text[IDS]
        right, wrong = (
            self._model.answer(ids, mask) for mask in (_mask_of(text, length), ids * 0 + 1)
        )
        self.errors["padded alone"] = _apart(right, self._model.answer(text[IDS]))
        self.errors["without the mask (must be large)"] = _apart(right, wrong)
        assert self.errors["padded alone"] <= NEAR, self.errors
        assert self.errors["without the mask (must be large)"] > 3 * NEAR, self.errors

    def _check_plain(self) -> None:
        for stream in self._plain.streams:
            for at, text in enumerate(self._sample[:3]):
                length = texts.padded([len(text[IDS])], self._setup.lengths)[0]
                found = stream.answers([text[IDS]], self._setup.sizes[at], length)
                self._note("plain streams", found[0], self._expected[at])

    def _note(self, what: str, found: Array, wanted: Array) -> None:
        self.errors[what] = max(self.errors.get(what, 0.0), _apart(found, wanted))
        assert self.errors[what] <= NEAR, f"{what}: {self.errors}"

    async def many(self, streams: int) -> None:
        """All cells with this many streams, in rounds."""
        rule = Pad(axis=-1, sizes=self._setup.lengths)
        options: dict[str, Any] = {
            "streams": streams,
            "max_batch_size": self._setup.sizes[-1],
            "batch_sizes": list(self._setup.sizes),
            "padding": {IDS: rule, MASK: rule},
        }
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            async with opened(self._plan, Path(folder), **options) as engine:
                self.opening[str(streams)] = round(time.monotonic() - began, 1)
                print(f"{streams} streams opened in {self.opening[str(streams)]} s", flush=True)
                await self._check_engine(engine)
                for _ in range(self._setup.rounds):
                    await self._round(engine, streams)
        self._model.trim()

    async def _check_engine(self, engine: Any) -> None:
        """Some texts among many others: padding and neighbours must not show."""
        answers = await asyncio.gather(*(engine.infer(text) for text in self._texts[:512]))
        for answer, wanted in zip(answers, self._expected, strict=False):
            self._note("engine", answer[ANSWER], wanted)

    async def _round(self, engine: Any, streams: int) -> None:
        """The engine, then the ceilings of what it has just done."""
        setup, name = self._setup, str(streams)
        clients: Any = range(setup.clients)

        async def ask(_: Any) -> Array:
            answer: Array = await engine.infer(self._take())
            return answer

        await load(ask, clients, setup.warm_up)
        self._true_tokens = 0
        self._asked.clear()
        records: list[BatchRecord] = []
        watch(engine, records.append)
        sample = await load(ask, clients, setup.seconds)
        watch(engine, None)
        runs = schedule.recorded(records)
        if sum(run.rows for run in runs) != sample["requests"]:
            raise RuntimeError(
                f"{sample['requests']} requests, but {sum(r.rows for r in runs)} rows"
            )
        asked = Counter(texts.padded(self._asked.elements(), setup.lengths))
        sample |= self._figures(runs, sample["seconds"])
        self.table.add(cell_name("trtasync", name), sample)
        for ceiling, batches in (
            ("same batches", runs),
            ("full batches", schedule.full(asked, setup.sizes)),
        ):
            self.table.add(cell_name(ceiling, name), self._ceiling(streams, batches))

    def _take(self) -> Text:
        text = self._texts[self._next % len(self._texts)]
        self._next += 1
        length = len(text[IDS])
        self._true_tokens += length
        self._asked[length] += 1
        return text

    def _ceiling(self, streams: int, runs: Sequence[Run]) -> Sample:
        cpu = time.process_time()
        seconds = self._plain.run(streams, runs)
        cpu = time.process_time() - cpu
        requests = sum(run.rows for run in runs)
        return rates("requests", requests, seconds, cpu) | self._figures(runs, seconds)

    def _figures(self, runs: Sequence[Run], seconds: float) -> Sample:
        return {
            "batches": len(runs),
            "rows_per_batch": sum(run.rows for run in runs) / len(runs),
            "true_tokens_per_second": self._true_tokens / seconds,
            "run_tokens_per_second": sum(run.tokens for run in runs) / seconds,
            **schedule.waste(self._true_tokens, runs),
        }

    def close(self) -> None:
        """Free everything."""
        self._plain.close()


def _mask_of(text: Text, length: int) -> Array:
    mask = np.zeros(length, DTYPE)
    mask[: len(text[IDS])] = 1
    return mask


def _apart(found: Array, wanted: Array) -> float:
    """The largest difference; infinite where something is no number."""
    worst = float(np.abs(np.asarray(found, np.float64) - wanted).max())
    return worst if np.isfinite(worst) else float("inf")


def wanted_ratios(streams: Sequence[int]) -> list[Ratio]:
    """Requests/s over the ceilings of the same round."""
    pairs = (
        ("trtasync", "same batches"),
        ("trtasync", "full batches"),
        ("same batches", "full batches"),
    )
    return [
        Ratio(cell_name(one, str(number)), cell_name(other, str(number)), "requests_per_second")
        for number in streams
        for one, other in pairs
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("bert", __doc__, arguments)
    began = time.monotonic()
    found = texts.lengths(BASE.longest)
    setup = Setup(rounds=options.rounds, seconds=options.seconds)
    print(f"{len(found)} lengths: {time.monotonic() - began:.0f} s", flush=True)
    model = Bert()
    bench = Bench(model, setup, found)
    print(f"model and plain streams: {time.monotonic() - began:.0f} s", flush=True)
    for streams in setup.streams:
        on_loop(LOOP, partial(bench.many, streams))
        print(f"{streams} streams: {time.monotonic() - began:.0f} s", flush=True)
    bench.close()
    model.close()
    described = texts.described(found, setup.lengths)
    print(f"lengths {described}\nlargest differences {bench.errors}", flush=True)
    parameters = {
        "model": "BERT-base's size (12 x 768, 12 heads, 3072), half precision, random weights",
        "clients": setup.clients,
        "loop": LOOP,
        "streams": list(setup.streams),
        "padded_lengths": list(setup.lengths),
        "batch_sizes": list(setup.sizes),
    }
    finish(
        "bert",
        bench.table,
        wanted_ratios(setup.streams),
        options,
        parameters,
        lengths=described,
        largest_differences=bench.errors,
        opening_seconds=bench.opening,
    )


if __name__ == "__main__":
    main()
