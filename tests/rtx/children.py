"""`python -m tests.rtx.children NAME ARGUMENT ...`: builders on the genuine TensorRT for RTX, each
in a process of its own; prints what the function of this name returns, as JSON."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests.genuine.library import installed
from tests.plans.children import _die_at, _forked, _live_on, _state, _wait
from trtasync import BuilderConfig, BuildError, Plan, build_plan
from trtasync.plans.cache import PlanCache
from trtasync.plans.phases import Phases
from trtasync.runtimes.plan_files import PlanHeader

ADA = BuilderConfig(compute_capabilities=["8.9"])


def build(model: Path, cache: Path, **options: Any) -> Plan:
    """Build, or take from the cache."""

    async def main() -> Plan:
        return await build_plan(model, cache=cache, config=ADA, **options)

    return anyio.run(main)


def build_together(model: str, cache: str, barrier: str, count: str) -> dict[str, Any]:
    """Build when so many processes have come; whoever builds waits until all others wait for it."""
    Path(barrier, str(os.getpid())).touch()

    def wait_for_all(news: object) -> None:
        while len(os.listdir(barrier)) < int(count):
            time.sleep(0.001)  # other processes: nothing else can be waited for

    plan = build(Path(model), Path(cache), progress=wait_for_all)
    return {"path": str(plan.path), "cached": plan.cached}


def build_with_little_room(model: str, cache: str, output: str, room: str) -> str:
    """The error of a build in a process whose files may hold no more than so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
    return _error(Path(model), Path(cache), output=output)


def build_on_a_small_disk(model: str, disk: str, size: str) -> dict[str, Any]:
    """Builds on a disk of so many KiB, and then on the same one read-only.

    Returns:
        the errors of builds whose cache, and whose output, is there; what they leave.
    """
    _mount("-t", "tmpfs", "-o", f"size={size}k", "none", disk)
    there = Path(disk)
    outputs: list[tuple[Path, dict[str, Any]]] = [
        (there / "cache", {}),
        (there.parent / "cache", {"output": there / "m.plan"}),
    ]
    told = [_error(Path(model), cache, **options) for cache, options in outputs]
    left = sorted(path.name for path in there.rglob("*") if path.suffix in (".tmp", ".plan"))
    _mount("-o", "remount,ro", disk)
    return {
        "full": told,
        "left": left,
        "read-only": [_error(Path(model), cache, **options) for cache, options in outputs],
    }


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _error(model: Path, cache: Path, **options: Any) -> str:
    """What a build says, or whether it was one."""
    try:
        return "cached" if build(model, cache, **options).cached else "built"
    except BuildError as error:
        return str(error)


def kill_builders(model: str, folder: str, kills: str) -> dict[str, Any]:
    """Kill builders at every file operation, then at random until there were so many kills.

    Everything happens in forks of this process, which has loaded all there is to load.
    """
    Phases(None)
    return Killer(Path(model), Path(folder)).kill(int(kills))


class Killer:
    """Kills builders, and looks at what they leave behind.

    Attributes:
        found: what the cache held after a kill -> how often.
        broken: what must never be.
    """

    def __init__(self, model: Path, folder: Path):
        self.found: Counter[str] = Counter()
        self.broken: list[str] = []
        self._model, self._folder = model, folder
        self._random = random.Random(4)
        self._rounds = 0

    def kill(self, kills: int) -> dict[str, Any]:
        """See `kill_builders`."""
        operation = 0
        while self._killed(partial(self._die_at, operation), _wait):
            operation += 1
        whole = time.perf_counter()
        assert not self._killed(_live_on, _wait)
        whole = time.perf_counter() - whole
        moments = [self._at_any_time(whole), self._while_it_writes]
        at_random = 0
        while at_random < kills:
            at_random += self._killed(_live_on, moments[self._rounds % 2])
        return {
            "operations": operation,
            "random": at_random,
            "found": self.found,
            "broken": self.broken,
        }

    @property
    def _cache(self) -> Path:
        return self._folder / f"cache {self._rounds}"

    def _killed(self, before: Callable[[], None], meanwhile: Callable[[int], None]) -> bool:
        """Build in an empty cache; whether the builder was killed. Its cache is looked at then."""
        self._rounds += 1

        def work() -> None:
            before()
            build(self._model, self._cache)

        pid = _forked(work)
        meanwhile(pid)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return False
        self.found[_state(self._cache)] += 1
        _, status = os.waitpid(_forked(self._check), 0)
        if status:
            self.broken.append(f"round {self._rounds}: {_state(self._cache)}")
        return True

    def _die_at(self, operation: int) -> None:
        _die_at(operation, self._cache)

    def _at_any_time(self, longest: float) -> Callable[[int], None]:
        def kill(pid: int) -> None:
            time.sleep(self._random.random() * longest)
            os.kill(pid, signal.SIGKILL)

        return kill

    def _while_it_writes(self, pid: int) -> None:
        while not list(self._cache.rglob("*.tmp")) and not list(self._cache.rglob("*.json")):
            time.sleep(0.0002)
        time.sleep(self._random.random() * 0.003)
        os.kill(pid, signal.SIGKILL)

    def _check(self) -> None:
        """What is there is whole or is not taken; a build then gives a plan, and no more."""
        keys = [note.stem for note in self._cache.glob("plans/*.json")]
        for key in keys:
            assert PlanCache(self._cache).find(key) is not None, "a note without its whole plan"
        plan = build(self._model, self._cache)
        assert plan.cached == bool(keys)
        header = PlanHeader.of(plan.path.read_bytes())
        assert header.version == plan.tensorrt
        assert not list(self._cache.rglob("*.tmp"))


if __name__ == "__main__":
    with installed():
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))  # noqa: T201 - its purpose
