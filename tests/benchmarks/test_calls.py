"""What `benchmarks.calls` counts, on code whose calls are known."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import calls
from benchmarks.calls import Profile, Profiler

CODE = {
    "first.py": """
from second import inner

def outer():
    inner()
    inner()
    beside()
    len([])

def beside():
    pass
""",
    "second.py": """
def inner():
    for _ in steps():
        pass

def steps():
    yield 1
    yield 2
""",
}


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    for name, text in CODE.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(calls, "PACKAGE", tmp_path)
    module: ModuleType = __import__("first")
    yield module.outer
    for name in CODE:
        sys.modules.pop(name.removesuffix(".py"), None)


def profiled(function: Callable[[], object]) -> Profile:
    profiler = Profiler()
    sys.setprofile(profiler)
    try:
        function()
    finally:
        sys.setprofile(None)
    return profiler.profile()


def test_calls_functions_files_and_changes_of_file_are_counted(outer: Callable[[], None]) -> None:
    profile = profiled(outer)
    inner = [("second.py", "inner"), ("second.py", "steps")]  # a generator that goes on is no call
    assert list(profile.path) == [("first.py", "outer"), *inner, *inner, ("first.py", "beside")]
    assert profile.counts == {"calls": 6, "functions": 4, "files": 2, "changes_of_file": 2}


def test_code_of_others_is_not_counted(outer: Callable[[], None]) -> None:
    assert profiled(lambda: json.dumps([1])).counts["calls"] == 0


@pytest.mark.parametrize("where", [[], ["--graphs"]], ids=["cpu", "graphs"])
def test_a_request_is_profiled_from_its_call_to_its_answer(
    where: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    calls.main([*where, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["path"][0] == ["engine.py", "Engine.infer"]
    assert found["calls"] == len(found["path"])
    runtime = "runtimes/tensorrt" if where else "runtimes/onnxruntime"
    for part in ("scheduler", "core", runtime):
        assert any(file.startswith(part) for file, _ in found["path"]), part
