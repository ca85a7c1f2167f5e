"""The pages to look things up in are complete."""

import inspect
import re

import trtasync
import trtasync.testing
from tests.documents.running import ROOT
from trtasync import errors
from trtasync.opening.arguments import EngineArguments
from trtasync.server.protocol.refusals import status_of


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_option_of_open_engine_has_a_line() -> None:
    parameters = set(inspect.signature(trtasync.open_engine).parameters) - {"model"}
    assert set(EngineArguments.__annotations__) <= parameters
    rows = re.findall(r"^\| (`[^|]*`) \|", page("options.md"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == parameters


def test_every_variable_of_the_environment_is_told() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "trtasync").rglob("*.py"))
    named = set(re.findall(r"TRTASYNC_[A-Z_]+", code))
    assert named == set(re.findall(r"TRTASYNC_[A-Z_]+", page("options.md")))


def test_every_error_has_a_line() -> None:
    rows = re.findall(r"^\| `(\w+)`", page("errors.md"), re.MULTILINE)
    assert sorted(rows) == sorted({*errors.__all__} - {"TrtasyncError"})


def test_the_statuses_are_those_that_servers_answer() -> None:
    rows = re.findall(r"^\| `(\w+)`.*\| (\d+) \|$", page("errors.md"), re.MULTILINE)
    assert len(rows) > 6
    for name, status in rows:
        assert status_of(getattr(errors, name)("why")) == int(status), name


def test_every_public_name_is_told() -> None:
    text = page("api.md")
    told = set(re.findall(r"^::: trtasync\.(?:testing\.)?(\w+)$", text, re.MULTILINE))
    public = {*trtasync.__all__, *trtasync.testing.__all__} - {*errors.__all__}
    assert told == {*public, "errors"}


def test_words_are_found_by_their_letters() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", page("glossary.md"), re.MULTILINE)
    assert len(words) > 20
    assert words == sorted(words)
