"""What streams share: ResNet-50 at every batch size on one to four streams, no engine.

The cost curves of the simulator (`benchmarks/simulation/costs.py`) come from here.
`python -m benchmarks.gpu.streams`.
"""

import random
from collections.abc import Sequence

from benchmarks.gpu.ceiling import SETS, Ceiling
from benchmarks.gpu.results import LiveTable, begin, finish
from benchmarks.gpu.works import Work, resnet_work
from benchmarks.report import cell_name
from support.gpu.plans import BUCKETS
from support.gpu.resnet import ResNet50

STREAMS = (1, 2, 3, 4)
DEPTHS = (1, SETS)
"""Batches on a stream at once. One: what a batch takes beside others. Two: what is to be had."""
DTYPES = ("float32", "uint8")
SHARE = 0.1
"""Of `--seconds`, per sample: there are 56 for each input type and round."""


def measure(work: Work, rounds: int, seconds: float, table: LiveTable) -> None:
    """Every cell once per round, in shuffled order."""
    streams = Ceiling(work, max(STREAMS), work.rows(BUCKETS[-1]), BUCKETS)
    cells = [(many, depth, rows) for many in STREAMS for depth in DEPTHS for rows in BUCKETS]
    order = random.Random(3)
    for _ in range(rounds):
        order.shuffle(cells)
        for many, depth, rows in cells:
            name = cell_name(work.dtype, f"{many} streams, depth {depth}", f"{rows} rows")
            table.add(name, streams.run(many, seconds, rows, depth))
    streams.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = begin("streams", __doc__, arguments)
    table = LiveTable()
    model = ResNet50(fuse=False)
    for dtype in DTYPES:
        measure(resnet_work(model, dtype), options.rounds, options.seconds * SHARE, table)
    model.close()
    parameters = {
        "model": "ResNet-50, half precision, channels last, random weights",
        "streams": list(STREAMS),
        "depths": list(DEPTHS),
        "rows": list(BUCKETS),
        "seconds": options.seconds * SHARE,
    }
    finish("streams", table, [], options, parameters)


if __name__ == "__main__":
    main()
