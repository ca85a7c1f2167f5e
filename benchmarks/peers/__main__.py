"""The same model and load through ours, a hand-written batcher and other people's batchers.

`python -m benchmarks.peers` makes a virtual environment per peer (once: `--prepare`), then takes
about eight minutes. Linux only. `benchmarks/README.md` says how each is run.
"""

from benchmarks.peers.catalogue import SYSTEMS
from benchmarks.peers.comparing import Comparison, compare, parse
from benchmarks.peers.described import wanted_ratios
from benchmarks.systems import CLASSES, COLUMNS

MODEL = f"float32[n, {COLUMNS}] @ float32[{COLUMNS}, {CLASSES}]"
PEERS = Comparison(
    name="peers",
    about=__doc__,
    systems=SYSTEMS,
    callers=64,
    seconds=1.5,
    warm_up=0.5,
    ratios=wanted_ratios,
    parameters={"model": MODEL, "blas_threads": 1},
)


def main(arguments: list[str] | None = None) -> None:
    """Compare."""
    compare(PEERS, parse(PEERS, arguments))


if __name__ == "__main__":
    main()
