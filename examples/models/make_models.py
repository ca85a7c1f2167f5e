"""Makes the example models, and measures them on digits they never saw.

    python -m examples.models.make_models              # the small ones, into this folder
    python -m examples.models.make_models --mlp PATH   # only the big one for load, 151 MB
                                                       # (big-*.onnx is ignored by git)

The same versions on the same machine write the same bytes again.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from examples.models.gallery import write_page, write_texts, write_voice
from examples.models.graphs import (
    write_gather,
    write_line,
    write_mlp,
    write_padded_line,
    write_pair,
)

__all__ = ["main", "make", "write_gather", "write_mlp"]

HERE: Final = Path(__file__).parent


def make(folder: Path) -> None:
    """Trains, writes and checks all small models.

    Args:
        folder: Where to write them; made if missing.

    Raises:
        CheckFailed: A model is worse than it must be. The files are there all the same.
    """
    from examples.models import checks, training

    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = training.load()
    classifier = training.train(train)
    training.save(folder / "digits_test.npz", held_out)
    write_line(folder / "digits_line.onnx", classifier)
    write_padded_line(folder / "digits_linew.onnx", classifier)
    write_pair(folder / "digits_pair.onnx", classifier)
    write_gather(folder / "gather.onnx")
    write_page(folder / "digits_page.onnx")
    write_texts(folder / "texts.onnx")
    write_voice(folder / "voice.onnx")
    checks.check_all(folder)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="where to write")
    parser.add_argument("--mlp", type=Path, metavar="PATH", help="write only the big MLP, there")
    parser.add_argument("--mlp-hidden", type=int, default=4096, help="units of its hidden layers")
    options = parser.parse_args()
    if options.mlp is not None:
        write_mlp(options.mlp, options.mlp_hidden)
    else:
        make(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
