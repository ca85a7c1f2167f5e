"""Command lines made of the options there are, and of values that nobody should give."""

from functools import cache
from pathlib import Path
from random import Random
from typing import Any, get_args

import typer

from tests.fuzz.values import NUMBERS, TEXTS
from trtasync.cli import app

PLACES = (
    "out.json", "out.png", "out.txt", "-", "", "folder", "missing/out.json", "model.onnx",
    "n" * 300, "$x^{.png", "\x1b[2J.json",
)  # fmt: skip
"""Of files: all of them relative, so that they lie in the folder of the case."""

FORMS = ("1,8", "x:1x4", "x:1x4/2x4/8x4", "x=0", "x=none", "1ms", "20", "1-3", "3-1", "0,0")


@cache
def _options() -> dict[str, tuple[Any, ...]]:
    """Command -> its options."""
    group: Any = typer.main.get_command(app)
    return {name: tuple(command.params) for name, command in group.commands.items()}


def command_line(chance: Random) -> list[str]:
    """What comes behind `trtasync`. It ends soon: what measures gets no model."""
    command = chance.choice(list(_options()))
    whole = command in ("inspect", "build")
    words = [command, chance.choice(("model.onnx", "broken.onnx")) if whole else "broken.onnx"]
    if not chance.randrange(10):
        words[1:] = chance.sample((*TEXTS, "missing.onnx", "folder"), 1)
    known = _options()[command]
    for option in chance.choices(known, k=chance.choice((0, 1, 1, 2, 3, 5))):
        words += _given(chance, option)
    return [word.replace("\0", "") for word in words]


def _given(chance: Random, option: Any) -> list[str]:
    name = chance.choice([*option.opts, *option.secondary_opts])
    if not name.startswith("-") or name in ("--debug", "--help"):
        return []
    if getattr(option, "is_flag", False):
        return [name]
    kind = option.type_descriptor.annotation
    if kind is Path or name == "--json":
        return [name, chance.choice(PLACES)]
    return [name, str(chance.choice((*get_args(kind), *FORMS, *NUMBERS, *TEXTS)))]
