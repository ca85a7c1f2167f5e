"""What the tests of several processes let their children do; see `support.doubles.child`."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from support.doubles import trt_builds
from support.helpers import Array, same
from tests.plans.support import answer_of, contents, matrix
from trtasync import BuildError, Plan, build_plan
from trtasync.plans.cache import PlanCache
from trtasync.runtimes.flavours import RTX

SIZE = 128
"""Of the weight of the model of `kill_builders`: its plan takes a while to be written."""


def build_together(model: str, cache: str, count: str) -> dict[str, Any]:
    """Build when so many processes have come; one that builds waits for the others."""
    log = Path(os.environ[trt_builds.LOG_VARIABLE])
    trt_builds.note(f"came {os.getpid()}")

    def wait_for_all(news: object) -> None:
        while log.read_text().count("came") < int(count):
            time.sleep(0.001)  # other processes: nothing else can be waited for

    async def main() -> dict[str, Any]:
        plan = await build_plan(model, cache=cache, max_batch_size=4, progress=wait_for_all)
        right = await _is_right(plan, matrix())
        return {"path": str(plan.path), "cached": plan.cached, "right": right}

    return anyio.run(main)


async def _is_right(plan: Plan, weight: Array) -> bool:
    """Of a model that multiplies; a plan that no GPU here runs is whole, at least."""
    if plan.flavour == RTX.name:
        return PlanCache(plan.path.parents[1]).find(plan.key) is not None
    row = matrix(1, 1, len(weight))[0]
    return same(await answer_of(plan, row), row @ weight)


def build_with_little_room(model: str, cache: str, output: str, room: str) -> str:
    """The error of a build in a process whose files may hold no more than so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))

    async def main() -> str:
        try:
            await build_plan(model, cache=cache, output=output)
        except BuildError as error:
            return str(error)
        return "built"

    return anyio.run(main)


def build_on_a_small_disk(model: str, disk: str, how: str) -> dict[str, Any]:
    """The errors of builds whose cache, and whose output, is on a full disk; what they leave.

    Args:
        model: its plan does not fit.
        disk: a folder.
        how: "mount" a small disk there, or "patch" the system call where that is not allowed.
    """
    if how == "mount":
        options = ["-t", "tmpfs", "-o", "size=32k", "none"]
        subprocess.run(["mount", *options, disk], check=True)
    else:
        vars(os)["fsync"] = _full  # a disk is often found to be full when its cache is written
    there = Path(disk)

    async def main() -> list[str]:
        errors = []
        choices: list[dict[str, Any]]
        choices = [{"cache": there / "cache"}, {"cache": False, "output": there / "m.plan"}]
        for options in choices:
            try:
                await build_plan(model, **options)
            except BuildError as error:
                errors.append(str(error))
        return errors

    return {"errors": anyio.run(main), "left": list(contents(there))}


def _full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- builders that are killed ---------------------------------------------------------------------


def kill_builders(model: str, folder: str, kills: str) -> dict[str, Any]:
    """Kill builders at every file operation, then at random until there were so many kills.

    Everything happens in forks of this process, which has loaded all there is to load.
    """
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
        self._log = Path(os.environ[trt_builds.LOG_VARIABLE])
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
        while sum(self.found.values()) < kills:
            self._killed(_live_on, moments[self._rounds % 2])
        return {"operations": operation, "found": self.found, "broken": self.broken}

    @property
    def _cache(self) -> Path:
        return self._folder / f"cache {self._rounds}"

    def _killed(self, before: Callable[[], None], meanwhile: Callable[[int], None]) -> bool:
        """Build in an empty cache; whether the builder was killed. Its cache is looked at then."""
        self._rounds += 1

        def build() -> None:
            before()
            _build(self._model, self._cache)

        pid = _forked(build)
        meanwhile(pid)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return False
        self.found[_state(self._cache)] += 1
        _, status = os.waitpid(_forked(lambda: _check(self._model, self._cache)), 0)
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
        while f"end {pid}" not in self._log.read_text():
            time.sleep(0.0002)
        time.sleep(self._random.random() * 0.003)
        os.kill(pid, signal.SIGKILL)


def _live_on() -> None:
    """The builder is not told to die."""


def _wait(pid: int) -> None:
    """The builder is left to itself."""


def _forked(work: Callable[[], Any]) -> int:
    """A process that does `work` and ends with 0, or with 1 and a traceback."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _build(model: Path, cache: Path) -> Any:
    async def main() -> Any:
        return await build_plan(model, cache=cache, max_batch_size=4)

    return anyio.run(main)


def _die_at(operation: int, cache: Path) -> None:
    """Let this process be killed just before its n-th use of a file in the cache."""
    left = [operation]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("open", "os.", "shutil.")) and any(
            str(cache) in str(argument) for argument in arguments
        ):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(look)


def _state(cache: Path) -> str:
    """What a cache holds, in words."""
    suffixes = {"".join(path.suffixes[-2:]) for path in cache.rglob("*") if path.is_file()}
    kinds = {suffix.rpartition(".")[2] for suffix in suffixes if "lock" not in suffix}
    return " ".join(sorted(kinds)) or "nothing"


def _check(model: Path, cache: Path) -> None:
    """What is there is whole or is not taken; a build then gives a plan that is right."""
    keys = [note.stem for note in cache.glob("plans/*.json")]
    for key in keys:
        assert PlanCache(cache).find(key) is not None, "a note without its whole plan"
    plan = _build(model, cache)
    assert plan.cached == bool(keys)
    assert anyio.run(_is_right, plan, matrix(0, SIZE, SIZE))
    assert not list(cache.rglob("*.tmp"))


# -- another user ---------------------------------------------------------------------------------


def swap_plans(user: str, evil: str, folder: str) -> None:
    """Put an entry in the place of ours all the time, as another user, until killed.

    Args:
        user: number of the user.
        evil: folder with the files of the entry.
        folder: of the plans.
    """
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
    print("swapping", flush=True)  # noqa: T201 - what the parent waits for
    contents_of = {path.name: path.read_bytes() for path in Path(evil).iterdir()}
    mine = Path(folder) / "mine"
    while True:
        for name, content in contents_of.items():
            with suppress(OSError):
                mine.write_bytes(content)
                mine.replace(mine.with_name(name))
