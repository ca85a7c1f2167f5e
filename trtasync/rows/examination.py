"""One examination of a model: find informative inputs, then axes that follow, then exchange."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from trtasync.model.arrays import Array
from trtasync.rows.budget import OutOfTime, Refused, Runs
from trtasync.rows.compare import finite, following_axes, row, same_bits
from trtasync.rows.exchange import Base, Exchanges, OutputEvidence, RunRows, batch_of
from trtasync.rows.inputs import MOST_ROWS, InputAxes, Row, RowSource
from trtasync.rows.schedule import REVERSED_AGAIN, SCHEDULE, schedule
from trtasync.rows.verdicts import Finding, Verdict

ROWS: Final = 3
"""Of the batch in which neighbours are exchanged: two ends and a middle."""

OTHER_ROWS: Final = 5
"""To see which axis follows the number of rows; two primes, so that no product fools anybody."""

DULL_DRAWS: Final = 4
"""So often at most are inputs drawn that run but leave an output constant or not finite."""

FEWEST_EXCHANGES: Final = 2

FURTHER_RUNS: Final = 5
"""Beside the first batch and the exchanges: another size, one row, all quiet, twice reversed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The batch sizes of the runs.

    Attributes:
        base: used to exchange neighbours.
        other: used to see which axes follow; None if there is only one size.
        alone: one row may run alone.
    """

    base: int
    other: int | None
    alone: bool

    @classmethod
    def among(cls, sizes: Sequence[int] | None) -> "Counts | None":
        """Pick the best allowed sizes; None if no two rows ever meet, or too many always do."""
        if sizes is None:
            return cls(ROWS, OTHER_ROWS, alone=True)
        sizes = [size for size in sizes if size <= MOST_ROWS]
        several = [size for size in sizes if size > 1]
        if not several:
            return None
        base = min(several, key=lambda size: (abs(size - ROWS), -size))
        others = [size for size in sizes if size != base]
        other = min(others, key=lambda size: (abs(size - OTHER_ROWS), -size), default=None)
        return cls(base, other, alone=1 in sizes)


class RefusedTogether(Exception):
    """Rows that each run alone are refused as a batch."""


class Examination:
    """Examines the outputs for one assignment of axes to the inputs.

    Args:
        runs: the model.
        layout: its inputs.
        counts: the batch sizes to use.
        outputs: their names in the model's order, each with the axis along which its rows may lie.
        tolerance: relative; for rows at another position or among more rows.
    """

    def __init__(
        self,
        runs: Runs,
        layout: InputAxes,
        counts: Counts,
        outputs: Mapping[str, int | None],
        tolerance: float,
    ):
        self._runs = runs
        self._layout = layout
        self._counts = counts
        self._outputs = outputs
        self._tolerance = tolerance
        self._before = runs.count
        self._planned = FURTHER_RUNS + 1 + len(SCHEDULE)
        self._evidence: list[OutputEvidence] = []
        self._exchanges: Exchanges | None = None

    def findings(self, sources: Iterable[RowSource]) -> tuple[Finding, ...]:
        """Return one finding per output.

        Args:
            sources: row sources; the first one that the model accepts and that is informative is
                used.
        """
        try:
            self._examine(sources)
        except OutOfTime:
            done = self._runs.count - self._before
            return self._findings(f"out of time after {done} of {self._planned} runs")
        except RefusedTogether as error:
            return self._all(Verdict.COUPLED, str(error))
        except Refused as error:
            return self._all(Verdict.UNKNOWN, f"the model refused every input tried: {error}")
        except MemoryError:
            return self._all(Verdict.UNKNOWN, "there is no memory for rows to try it with")
        return self._findings("")

    def _examine(self, sources: Iterable[RowSource]) -> None:
        source, base = self._first_base(sources)
        run = partial(self._run, source)
        size, other = self._counts.base, self._counts.other
        plan = schedule(base.rows[0], size)
        self._planned = self._runs.count - self._before + len(plan) + FURTHER_RUNS
        sized = self._other_sizes(run, base)
        self._evidence = [
            self._placed(index, name, hint, sized)
            for index, (name, hint) in enumerate(self._outputs.items())
        ]
        self._exchanges = Exchanges(run, source, base, self._evidence, self._tolerance)
        if other in sized and other > 1:
            how = f"in a batch of {other} instead of {size}"
            self._exchanges.rearranged(sized[other], range(size), how)
        reversals = {0: size, REVERSED_AGAIN: max(size, other or 0)}
        for number, (place, kind) in enumerate(plan):
            if self._exchanges.undecided:
                self._exchanges.exchange(place, kind)
            if number in reversals and self._exchanges.undecided:
                self._exchanges.reverse(reversals[number])

    def _run(self, source: RowSource, rows: Sequence[Row]) -> list[Array]:
        return self._runs.run(self._layout.stack(rows, source.shared))

    def _first_base(self, sources: Iterable[RowSource]) -> tuple[RowSource, Base]:
        """Find a batch that the model accepts and whose outputs are as informative as possible."""
        tried: list[tuple[int, RowSource, Base]] = []
        refusal = Refused("none could be made")
        for source in sources:
            run = partial(self._run, source)
            rows = batch_of(source.row, self._counts.base)
            try:
                base = Base(run, rows)
            except Refused as error:
                self._try_alone(run, rows, error)
                refusal = error
                continue
            shown = sum(map(self._shows, base.outputs, self._outputs.values()))
            tried.append((shown, source, base))
            if shown == len(base.outputs) or len(tried) == DULL_DRAWS:
                break
        if not tried:
            raise refusal
        _, source, base = max(tried, key=lambda one: one[0])
        return source, base

    def _try_alone(self, run: RunRows, rows: Sequence[Row], refusal: Refused) -> None:
        """Raise RefusedTogether if each row of a refused batch runs alone."""
        if not self._counts.alone:
            return
        try:
            for each in rows:
                run([each])
        except Refused:
            return
        raise RefusedTogether(f"{len(rows)} rows are refused as a batch but run alone: {refusal}")

    def _shows(self, output: Array, hint: int | None) -> bool:
        """Whether an output is finite, and its rows, if it has any, differ."""
        axes = following_axes([output.shape], [self._counts.base])
        axis = hint if hint in axes else next(iter(axes), None)
        if axis is None:
            return True
        return finite(output) and not same_bits(row(output, axis, 0), row(output, axis, 1))

    def _other_sizes(self, run: RunRows, base: Base) -> dict[int, list[Array]]:
        """Run other batch sizes, repeating the base's rows; return the outputs by size."""
        size, other = self._counts.base, self._counts.other
        sized = {size: base.outputs}
        for count in dict.fromkeys((other, 1 if self._counts.alone else None)):
            if count is None:
                continue
            try:
                sized[count] = run([base.rows[index % size] for index in range(count)])
            except Refused as error:
                if count > size:
                    why = f"{count} rows are refused where {size} are not: {error}"
                    raise RefusedTogether(why) from error
        return sized

    def _placed(
        self, index: int, name: str, hint: int | None, sized: Mapping[int, Sequence[Array]]
    ) -> OutputEvidence:
        """Find the axis of an output's rows; the evidence is settled if there is none."""
        shapes = {count: outputs[index].shape for count, outputs in sized.items()}
        size, other = self._counts.base, self._counts.other
        counts = [size, other] if other in shapes else [size]
        axes = following_axes([shapes[count] for count in counts], counts)
        if len(counts) == 1 and axes:
            axes = [hint if hint in axes else axes[0]]
        if len(axes) != 1:
            seen = " and ".join(f"{shapes[count]} for {count} rows" for count in counts)
            many = "more than one axis follows" if axes else "no axis follows"
            why = f"{many} the number of rows: its shape is {seen}"
            return OutputEvidence(name, 0, settled=Finding(name, Verdict.COUPLED, None, why))
        axis = axes[0]
        due = (*shapes[size][:axis], 1, *shapes[size][axis + 1 :])
        if shapes.get(1, due) != due:
            why = f"one row alone gives the shape {shapes[1]}, not {due}"
            found = Finding(name, Verdict.COUPLED, axis, why, "nobody", float("inf"))
            return OutputEvidence(name, axis, settled=found)
        return OutputEvidence(name, axis)

    def _findings(self, stopped: str) -> tuple[Finding, ...]:
        """Turn the evidence into findings.

        Args:
            stopped: why it is incomplete; "" after all exchanges.
        """
        if self._exchanges is None:
            return self._all(Verdict.UNKNOWN, stopped)
        return tuple(seen.settled or self._judge(seen, stopped) for seen in self._evidence)

    def _judge(self, seen: OutputEvidence, stopped: str) -> Finding:
        lacking = self._lacking(seen)
        if lacking:
            return Finding(seen.output, Verdict.UNKNOWN, seen.axis, stopped or lacking)
        why = f"its rows kept their bits in {seen.exchanges} exchanges of their neighbours"
        return Finding(seen.output, Verdict.TESTED, seen.axis, why)

    def _lacking(self, seen: OutputEvidence) -> str:
        """Name the evidence that an output still lacks; "" if none."""
        if seen.exchanges < FEWEST_EXCHANGES:
            return f"the model refused all exchanges but {seen.exchanges}"
        if self._exchanges is None or not self._exchanges.reversed:
            return "the model refused the same rows in reverse order"
        return "" if seen.live else "it did not change with the inputs that were tried"

    def _all(self, verdict: Verdict, why: str) -> tuple[Finding, ...]:
        return tuple(Finding(name, verdict, axis, why) for name, axis in self._outputs.items())
