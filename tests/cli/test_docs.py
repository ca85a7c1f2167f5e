"""What README and docs say of the command line is true."""

import re
import shlex
from typing import get_type_hints

import pytest

from support.doubles.child import ROOT
from tests.cli.options import COMMANDS, OPTIONS
from tests.cli.support import run
from trtasync.cli.bench import bench
from trtasync.cli.build import build
from trtasync.cli.check import check
from trtasync.cli.host import host
from trtasync.cli.inspect import inspect
from trtasync.cli.serve import serve

PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md"))]

ELSEWHERE = {
    option
    for options in (
        "--help --version",  # of every command; of all together
        "--onnx_path --output_path --low_precision_type --quantize_mode --calibration_data",
        "--preload --limit-concurrency --timeout-graceful-shutdown",  # gunicorn, uvicorn
        "--gpus --ulimit --user --file --rm --publish --volume --set --shm-size --init",  # Docker
        "--no-deps --wheel-dir --no-cache-dir --data-binary",  # pip, curl
        "--collect-metrics --metrics-url --concurrency-range --request-rate-range",
        "--shared-memory --streaming --verbose-csv --trace-level",  # perf_analyzer
        "--exclude-checks --quick",  # Schemathesis, benchmarks
    )
    for option in options.split()
}
"""Options of other programs that these pages name, and those that are no command's."""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_one_that_exists(page: str) -> None:
    for name, rest in re.findall(
        r"^ *trtasync ([a-z]+)([^#\n]*)", (ROOT / page).read_text(encoding="utf-8"), re.M
    ):
        given = {word.partition("=")[0] for word in rest.split() if re.match("--?[a-z]", word)}
        assert given <= OPTIONS[name], f"{page}: trtasync {name}{rest}"


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", (ROOT / page).read_text(encoding="utf-8")))
    assert named - ELSEWHERE <= set().union(*OPTIONS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_the_command_takes(name: str) -> None:
    *_, example = (COMMANDS[name].epilog or "").partition("Example: trtasync ")
    first, *words = shlex.split(example)

    assert first == name
    assert COMMANDS[name].make_context(name, words).params


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_of_a_help_is_taken_for_markup(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2000")

    shown = " ".join(run(name, "--help").stdout.split())

    for each in COMMANDS[name].params:
        told = " ".join((getattr(each, "help", None) or "").replace("`", "").split())
        assert told in shown, each.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    assert [each.name for each in COMMANDS[name].params if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_types_are_those_of_what_is_typed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the type of a flag, which takes no value, nor Python's names for texts and lists."""
    monkeypatch.setenv("COLUMNS", "2000")
    lines = run(*name.split(), "--help").stdout.splitlines()
    assert [line for line in lines if re.search("<(bool|str|list)", line)] == []


@pytest.mark.parametrize("name", ["host", "serve"])
def test_several_models_are_shown_as_paths(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    shown = r" models(\.\.\. +<path>| +\[MODELS\]\.\.\.) +\.onnx"  # the latter by older typers
    assert re.search(shown, run(name, "--help").stdout)


def test_an_option_that_two_commands_share_takes_the_same_kind_of_value() -> None:
    kinds: dict[str, set[object]] = {}
    for function in (
        build,
        inspect,
        bench,
        check,
        host,
        serve,
    ):  # tune takes lists where these take one value
        for name, kind in get_type_hints(function).items():
            kinds.setdefault(name, set()).add(kind)
    differing = {name for name, found in kinds.items() if len(found) > 1}
    # `build` takes module:function, too, and no backend that cannot build
    assert differing == {"model", "backend"}
