"""How much of the core mypy knows exactly: of all expressions, those whose type is not `Any`.

python -m tests.package.precision --least 98
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]

CORE = ("engine", "core", "scheduler", "memory", "requests", "loops")
"""Of `trtasync`: what every request passes through."""


@dataclass(frozen=True, slots=True)
class Count:
    """Expressions of one module.

    Attributes:
        module: its name.
        unknown: expressions of type `Any`.
        all: expressions.
    """

    module: str
    unknown: int
    all: int

    @property
    def precise(self) -> float:
        """Percent of the expressions; 100 where there is none."""
        return 100.0 * (1 - self.unknown / self.all) if self.all else 100.0

    def __str__(self) -> str:
        return f"{self.module:<32} {self.unknown:>5} of {self.all:>5}  {self.precise:6.2f} %"


def read(report: str) -> Iterator[Count]:
    """The modules of the core in a report of `mypy --any-exprs-report`, without its total.

    Args:
        report: lines of module, expressions of type `Any`, all expressions and percent.
    """
    for line in report.splitlines():
        words = line.split()
        if len(words) == 4 and words[3].endswith("%") and _is_core(words[0]):
            yield Count(words[0], int(words[1]), int(words[2]))


def total(counts: Sequence[Count]) -> Count:
    """All modules as one."""
    return Count("together", sum(one.unknown for one in counts), sum(one.all for one in counts))


def main() -> None:
    """Print a line per module, the least known first; fail below `--least`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--least", type=float, default=0.0, help="percent, of all together")
    least = parser.parse_args().least
    counts = sorted(read(_measured()), key=lambda count: count.precise)
    together = total(counts)
    sys.stdout.writelines(f"{count}\n" for count in (*counts, together))
    if together.precise < least:
        sys.exit(f"{together.precise:.2f} % are known exactly; at least {least:g} % are wanted.")


def _measured() -> str:
    with TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "mypy", "--any-exprs-report", folder, "trtasync"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return Path(folder, "any-exprs.txt").read_text()


def _is_core(module: str) -> bool:
    first, _, rest = module.partition(".")
    return first == "trtasync" and rest.split(".")[0] in CORE


if __name__ == "__main__":
    main()
