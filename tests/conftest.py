"""Fixtures for all tests: every loop the engine runs on, and nothing left behind by any test."""

import asyncio
import itertools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.helpers import PATIENCE
from trtasync import open_engine

# gRPC would start its threads again in children that fork only to run something else, and these
# stop there now and then. Before grpc is imported anywhere.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


settings.register_profile("trtasync", deadline=None, derandomize=True, database=None)
settings.load_profile("trtasync")

_caches = itertools.count()

GENUINE = "genuine_builder"
"""The marker of tests that run on the builder of TensorRT for RTX; see `tests.genuine.library`."""

CHECK_SECONDS = 60.0
"""What an opening may spend on its row check where a test does not say."""

LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]


if sys.version_info >= (3, 12):

    def _eager_loop() -> asyncio.AbstractEventLoop:
        """A loop whose tasks begin to run where they are created."""
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    LOOPS.append(pytest.param(("asyncio", {"loop_factory": _eager_loop}), id="eager"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the genuine library is marked so. It runs on one loop: what another loop
    makes of a build, doubles tell as well and cheaper."""
    for item in items:
        if "rtx" in getattr(item, "fixturenames", ()):
            item.add_marker(GENUINE)
    items[:] = [item for item in items if GENUINE not in item.keywords or _on_first_loop(item)]


def _on_first_loop(item: pytest.Item) -> bool:
    first = LOOPS[0].values[0]
    chosen = getattr(item, "callspec", None)  # of what is parametrized
    return chosen is None or chosen.params.get("anyio_backend", first) == first


def pytest_addoption(parser: pytest.Parser) -> None:
    """For runs of all tests, in which it is no accident how much of them was proved where."""
    parser.addoption(
        "--genuine-at-least",
        type=int,
        default=0,
        metavar="N",
        help="fail unless as many tests have passed on NVIDIA's own builder",
    )


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """One line more: how much was proved on TensorRT itself, and not on a double of it."""
    passed, least = _genuine(terminalreporter)
    if passed or least:
        short = f"; at least {least} are wanted" if passed < least else ""
        terminalreporter.write_sep("=", f"{passed} of them passed on NVIDIA's own builder{short}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too few of these fail the run: where the library is not found they are all skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus != pytest.ExitCode.OK:
        return
    passed, least = _genuine(reporter)
    if passed < least:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _genuine(reporter: "pytest.TerminalReporter") -> tuple[int, int]:
    """How many have passed on the genuine builder, and how many should have."""
    passed = [each for each in reporter.stats.get("passed", ()) if GENUINE in each.keywords]
    return len(passed), reporter.config.getoption("genuine_at_least")


@pytest.fixture(params=LOOPS, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The loop an async test runs on, as AnyIO's plugin wants it: (name, options)."""
    return request.param


@pytest.fixture(autouse=True)
def own_plan_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every test has an empty plan cache of its own, and nobody the user's; made when used."""
    folder = tmp_path_factory.getbasetemp() / f"plan cache {next(_caches)}"
    before = os.environ.get("TRTASYNC_CACHE_DIR")
    os.environ["TRTASYNC_CACHE_DIR"] = str(folder)
    yield
    if before is None:
        del os.environ["TRTASYNC_CACHE_DIR"]
    else:
        os.environ["TRTASYNC_CACHE_DIR"] = before


@pytest.fixture(autouse=True, scope="session")
def unhurried_row_checks() -> Iterator[None]:
    """No verdict depends on how busy the machine is: the default of `check_seconds` is for users.
    Tests of the limit itself pass it."""
    defaults = open_engine.__kwdefaults__
    assert defaults is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "check_seconds", CHECK_SECONDS)
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test leaves no thread of the library, no open file and no file beside the code."""
    files, entries = _open_files(), _entries(request.config.rootpath)
    yield
    for thread in threading.enumerate():
        if thread.name == "trtasync reap":  # hosts end by themselves, if later than their clients
            thread.join(PATIENCE)
    threads = [thread.name for thread in threading.enumerate() if "trtasync" in thread.name]
    assert not threads
    assert not _open_files() - files
    assert not _entries(request.config.rootpath) - entries


def _open_files() -> set[str]:
    """Regular files this process has open (a loop's sockets and pipes are its own affair)."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return set()
    paths = set()
    for link in folder.iterdir():
        try:
            paths.add(os.readlink(link))
        except OSError:
            continue  # the descriptor of this very listing
    # matplotlib keeps the fonts open that it has drawn with
    return {path for path in paths if Path(path).is_file() and "/mpl-data/" not in path}


def _entries(root: Path) -> set[str]:
    """What lies in the repository's root, caches of tools aside."""
    return {path.name for path in root.iterdir() if not path.name.startswith(".")}
