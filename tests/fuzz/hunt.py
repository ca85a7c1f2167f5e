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
BATCH = 1000
"""Attacks of one process."""
PATIENCE = 120.0
"""Seconds for one attack: it takes milliseconds, on a machine that has nothing else to do."""
STARTING = 300.0
"""Seconds until a process begins with its first one."""
MEGABYTES = 1500
"""That a process may take beside what it has before its first attack."""


@dataclass(frozen=True)
class Failure:
    """An attack that succeeded.

    Attributes:
        seed: makes it again.
        folder: with its files.
        how: the process died, hung, or what was raised.
        ours: ONNX Runtime neither dies of the same model nor hangs by itself.
    """

    seed: int
    folder: Path
    how: str
    ours: bool = True

    def __str__(self) -> str:
        name = self.folder / "attack"
        kind = name.read_text().strip() if name.exists() else "?"
        whose = "" if self.ours else ", as ONNX Runtime does by itself"
        return f"seed {self.seed} ({kind}): {self.how}{whose}; files in {self.folder}"


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
                    begun = self._line(process, STARTING if seed == first else self.patience)
                    if begun != f"{seed}":
                        raise RuntimeError(f"an attacker ended by itself; see {self._log}.")
                    ended = self._line(process, self.patience)
                    if ended != "ok":
                        yield self._failure(seed, ended, process)
                    if not ended:
                        break
            first = seed + 1

    def _failure(self, seed: int, ended: str, process: "subprocess.Popen[str]") -> Failure:
        folder = self.folder / f"{seed}"
        if ended:
            return Failure(seed, folder, ended)
        how = f"it died or hung (exit code {process.wait()})"
        ours = not breaks_runtime(folder / "model.onnx", self.patience)
        return Failure(seed, folder, how, ours)

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

    @staticmethod
    def _line(process: "subprocess.Popen[str]", patience: float) -> str:
        """The child's next line; "" when it has none, or takes longer than so many seconds."""
        assert process.stdout is not None
        watch = threading.Timer(patience, process.kill)
        watch.start()
        try:
            return process.stdout.readline().strip()
        finally:
            watch.cancel()
            watch.join()


def breaks_runtime(model: Path, patience: float) -> bool:
    """ONNX Runtime dies of a model that it is given without us, or takes longer than that."""
    alone = "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[1])"
    command = [sys.executable, "-c", alone, f"{model}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=patience)
    except subprocess.TimeoutExpired:
        return True
    return model.exists() and done.returncode < 0
