"""Names that mean harm: shown with escapes, wherever a person reads them."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from rich.console import Console

from tests.cli.support import refused, run
from tests.plans.support import save
from trtasync import InvalidInput
from trtasync.cli.tables import add_row, new_table, say, show_facts, show_table
from trtasync.measure.plot import head
from trtasync.measure.plot import save as save_figure
from trtasync.words import one_line, shown

EVIL = "a\x1b[2J\x1b]0;t\x07[red]b[/red]\r\nERROR: forged\x85\u2028\u202egnp.exe\u2066\x00$x_{"
"""Clears the screen, names the window, is markup, forges a line, turns the reading, is maths."""

HARMFUL = set("\x1b\x07\x00\r\x85\u2028\u202e\u2066")


@given(st.text())
def test_what_is_shown_is_visible_and_in_one_line(text: str) -> None:
    for words in (shown(text), one_line(text)):
        assert words.isprintable()
        assert shown(words) == words


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_visible_stays(text: str) -> None:
    assert shown(text) == one_line(text) == text


def test_what_was_there_can_be_told_from_the_escapes() -> None:
    assert shown("a\x1b[0m\n\u202e\ud800é 中") == "a\\x1b[0m\\n\\u202e\\ud800é 中"
    assert one_line(" it said:\n\t no\x07 \r\n\r\n memory ") == "it said: no\\x07 memory"


def test_errors_are_fit_to_be_shown_and_keep_the_name_as_it_is() -> None:
    error = InvalidInput(f"input '{EVIL}' is wrong", name=EVIL)
    assert str(error).isprintable()
    assert error.name == EVIL


@pytest.mark.parametrize("name", ["trtasync", "trtasync.tensorrt"])
def test_logs_are_fit_to_be_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    import trtasync.runtimes.tensorrt.library  # noqa: F401 - makes the second logger

    logger = logging.getLogger(name)
    logger.warning("%s: %d of %.1f, %r", Path(EVIL.replace("\0", "")), 3, 4.0, EVIL)
    logger.warning(EVIL)
    for record in caplog.records:
        assert record.getMessage().isprintable()
    assert ": 3 of 4.0, " in caplog.text


def printed(draw: Callable[[Console], None]) -> str:
    """What a terminal gets."""
    paper = io.StringIO()
    draw(Console(file=paper, width=2000, force_terminal=True, color_system="truecolor"))
    return paper.getvalue()


def test_tables_and_lines_are_fit_to_be_shown() -> None:
    def draw(console: Console) -> None:
        table = new_table(console, "name", "more", figures=False)
        add_row(table, EVIL, EVIL)
        show_table(console, table)
        show_facts(console, [("fact", EVIL)])
        say(console, EVIL)
        say(console, EVIL, fold=True)

    text = printed(draw)
    assert text.count(shown(EVIL)) == 5
    assert not HARMFUL - {"\x1b"} & set(text)
    assert "\x1b[2J" not in text


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model all of whose names mean harm."""
    name = EVIL.replace("\0", "")
    graph = helper.make_graph(
        [helper.make_node("[red]Evil\x1b[2J", ["x"], [name], domain=name)],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", name])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])],
    )
    return save(tmp_path / "m\x1b[2J[red]$x_{.onnx", graph)


def test_inspect_shows_no_name_as_it_is(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = run("inspect", model, "--layers").stdout
    assert not HARMFUL & set(text)
    assert "[red]Evil\\x1b[2J x 1" in text
    assert "m\\x1b[2J[red]$x_{.onnx" in text
    forged = [line for line in text.splitlines() if line.startswith("ERROR")]
    assert forged == []
    assert json.loads(run("inspect", model, "--json", "-").stdout)["outputs"][0]["name"] == (
        EVIL.replace("\0", "")
    )


def test_an_error_on_the_command_line_is_one_line(model: Path) -> None:
    line = refused(4, "bench", model, "--backend", "onnxruntime")
    assert line.isprintable()


def test_a_dollar_sign_is_no_formula(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    head(figure, f"m$x_{{.onnx {EVIL}")
    save_figure(figure, tmp_path / "out.svg")
    assert (tmp_path / "out.svg").stat().st_size > 0


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own."""
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
