"""Many attacks, in processes of their own that may die, hang or run out of memory."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BATCH = 500
"""Attacks of one process."""
PATIENCE = 30.0
"""Seconds for one attack; the first one of a process also brings the imports."""
MEGABYTES = 1500
"""That a process may take beside what it has after its first attack."""


@dataclass(frozen=True)
class Failure:
    """An attack that succeeded.

    Attributes:
        seed: makes it again.
        folder: with its files.
        how: the process died, hung, or what was raised.
    """

    seed: int
    folder: Path
    how: str

    def __str__(self) -> str:
        name = self.folder / "attack"
        kind = name.read_text().strip() if name.exists() else "?"
        return f"seed {self.seed} ({kind}): {self.how}; files in {self.folder}"


@dataclass(frozen=True)
class Hunt:
    """How to look for failures.

    Attributes:
        folder: for the files of attacks; those of failures stay.
        only: a word that the names of attacks must hold.
        module: of the child.
        patience: seconds for an attack.
        megabytes: that a child may take.
    """

    folder: Path
    only: str = ""
    module: str = "tests.fuzz.child"
    patience: float = PATIENCE
    megabytes: int = MEGABYTES

    def failures(self, first: int, count: int, processes: int = 2) -> list[Failure]:
        """Of the attacks with the seeds from `first` on."""
        end = first + count
        starts = range(first, end, BATCH)
        with ThreadPoolExecutor(processes) as pool:
            found = pool.map(lambda at: list(self._batch(at, min(at + BATCH, end))), starts)
            return [failure for batch in found for failure in batch]

    def _batch(self, first: int, end: int) -> Iterator[Failure]:
        """One child, and another one from behind each attack that ended the last."""
        while first < end:
            with self._child(first, end) as process:
                for seed in range(first, end):
                    if self._line(process) != f"{seed}":
                        raise RuntimeError(f"an attacker ended by itself; see {self._log}.")
                    ended = self._line(process)
                    first = seed + 1
                    if ended != "ok":
                        how = ended or f"it died or hung (exit code {process.wait()})"
                        yield Failure(seed, self.folder / f"{seed}", how)
                    if not ended:
                        break

    @property
    def _log(self) -> Path:
        return self.folder / "stderr"

    @contextmanager
    def _child(self, first: int, end: int) -> Iterator["subprocess.Popen[str]"]:
        seeds = f"{first}", f"{end - first}"
        command = [sys.executable, "-m", self.module, f"{self.folder}", *seeds]
        with (
            self._log.open("a") as log,
            subprocess.Popen(
                [*command, f"{self.megabytes}", self.only],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def _line(self, process: "subprocess.Popen[str]") -> str:
        """The child's next line; "" when it has none, or takes too long."""
        assert process.stdout is not None
        watch = threading.Timer(self.patience, process.kill)
        watch.start()
        try:
            return process.stdout.readline().strip()
        finally:
            watch.cancel()
            watch.join()
