"""Options by which an engine is opened, of commands that take them."""

import inspect
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from trtasync import InvalidInput
from trtasync.cli.engine_flags import EngineFlags, takes_engine_flags


def test_a_command_gets_them_together_and_its_own_options_apart() -> None:
    seen: list[Any] = []

    @takes_engine_flags
    def command(*, model: str, rows: int = 1, engine: EngineFlags, quiet: bool = False) -> None:
        """For a model."""
        seen.append((model, rows, engine, quiet))

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(
        app, ["m", "--streams", "3", "--rows", "2", "--batch-axis", "x=1", "--quiet"]
    )

    assert done.exit_code == 0, done.output
    assert seen == [("m", 2, EngineFlags(streams=3, batch_axis=["x=1"]), True)]
    assert command.__doc__ == "For a model."
    own, *others = inspect.signature(command).parameters
    assert (own, others[1], others[-1]) == ("model", "backend", "quiet")


def test_they_become_arguments_of_open_engine() -> None:
    flags = EngineFlags(devices="0,1", batching="off", graphs="off", cache_dir=None)

    assert flags.options()["devices"] == [0, 1]
    assert flags.options()["batching"] is flags.options()["graphs"] is False
    with pytest.raises(InvalidInput, match="--devices"):
        EngineFlags(devices="one").options()


def test_what_is_as_usual_was_not_given() -> None:
    assert EngineFlags().given() == {}
    assert EngineFlags(streams=2, max_queue_delay="2ms").given() == {
        "streams": 2,
        "max_queue_delay": "2ms",
    }
