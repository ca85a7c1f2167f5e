"""Docstrings say what is there: all of it where names are public, and nothing else."""

from types import ModuleType

import griffe
import pytest

import trtasync
import trtasync.inspection
import trtasync.measure
import trtasync.plans
import trtasync.runtimes
import trtasync.testing
import trtasync.tune
from tests.package import docstrings

PUBLIC = [
    trtasync,
    trtasync.inspection,
    trtasync.measure,
    trtasync.plans,
    trtasync.runtimes,
    trtasync.testing,
    trtasync.tune,
]


def test_every_section_is_read() -> None:
    things = list(docstrings.everything(docstrings.package()))
    assert len(things) > 1000
    faults = [each for thing in things for each in docstrings.misread(thing)]
    assert "\n".join(faults) == ""


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_parameter_is_documented(module: ModuleType) -> None:
    names = _names(module)
    assert names
    faults = [
        fault
        for name in names
        for thing in docstrings.public(docstrings.lookup(f"{module.__name__}.{name}"))
        for fault in docstrings.undocumented(thing)
    ]
    assert "\n".join(faults) == ""


def _names(module: ModuleType) -> list[str]:
    own = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return list(getattr(module, "__all__", own))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Args:\n        x: a number.", "Args: is not read"),
        ("Sum.\n\n    Args:\n        x: one.\n        z: two.", "'z' does not appear"),
        ("Sum.\n\n    Raises:\n        what it likes.", "Failed to get 'exception: description'"),
        ("Sum.\n\n    Attributes:\n        z: none.", "'z' does not exist"),
    ],
)
def test_a_section_that_says_what_is_not_so_is_found(text: str, fault: str) -> None:
    assert [fault in each for each in docstrings.misread(_function(text))] == [True]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Sum.", ["x", "y"]),
        ("Sum.\n\n    Args:\n        x: one.", ["y"]),
        ("Sum of `x` and `y`.", []),
        ("See `trtasync.open_engine`.", ["x", "y"]),
        ("See `other`.", []),
    ],
)
def test_a_parameter_of_which_nothing_is_said_is_found(text: str, missing: list[str]) -> None:
    function = _function(text)
    expected = [f"sums.add: parameter {name!r} is not documented" for name in missing]
    assert docstrings.undocumented(function) == expected


def _function(text: str) -> griffe.Object:
    source = (
        f'def add(x, y):\n    """{text}\n    """\n\n'
        'def other(x, y):\n    """Sum of `x` and `y`."""\n'
    )
    found = griffe.visit("sums", docstrings.ROOT / "sums.py", source)["add"]
    assert isinstance(found, griffe.Function)
    return found
