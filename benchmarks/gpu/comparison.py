"""A model, its yardsticks, and where samples go: shared by `tiny` and `resnet`."""

import random
from functools import partial

from benchmarks.gpu.design_a import PlainCall
from benchmarks.gpu.results import LiveTable, Measure
from benchmarks.gpu.systems import Infer, load
from benchmarks.gpu.works import CLIENTS, Work
from benchmarks.gpu.yardsticks import Lane, reference
from benchmarks.load import Sample
from benchmarks.report import cell_name
from support.gpu.hardware import Array, new_stream

WARM_UP = 0.4


class Comparison:
    """Yardsticks are created once; engines are opened by the benchmarks."""

    def __init__(
        self,
        work: Work,
        rounds: int,
        seconds: float,
        table: LiveTable,
        *,
        clients: int = CLIENTS,
        lanes: int,
    ):
        """Open the yardsticks and compute the answers that are expected.

        Args:
            work: the model.
            rounds: samples of every cell.
            seconds: of each; half of it with one client.
            table: where they go.
            clients: each with a row of its own.
            lanes: for hand-written batchers.
        """
        self.work = work
        self.rounds = rounds
        self.seconds = seconds
        self.table = table
        self.rows = work.rows(clients)
        self.expected = reference(work, self.rows)
        self.lanes = [Lane(work, new_stream()) for _ in range(lanes)]
        self.plain = {
            how: PlainCall(work, new_stream(), how == "spinning")
            for how in ("sleeping", "spinning")
        }
        self.order = random.Random(1)

    def loading(self, infer: Infer, rows: list[Array]) -> Measure:
        """A sample of a client per row."""
        share = 1 if len(rows) > 1 else 2
        return partial(load, infer, rows, self.seconds / share, WARM_UP)

    def calling(self, *name: str) -> dict[str, Measure]:
        """Cells of one client that calls without a batcher."""
        return {
            cell_name(f"plain {how}", *name): partial(self._call, call)
            for how, call in self.plain.items()
        }

    async def _call(self, call: PlainCall) -> Sample:
        return call.run(self.rows, self.seconds / 2)

    async def fill(self, cells: dict[str, Measure]) -> None:
        """All cells, in rounds."""
        await self.table.fill(cells, self.rounds, self.order)

    def close(self) -> None:
        """Free everything."""
        for call in self.plain.values():
            call.close()
        for lane in self.lanes:
            lane.close()
