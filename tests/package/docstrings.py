"""What is wrong with docstrings, as tools for documentation read them (here `griffe`)."""

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]

_UNREAD = re.compile(r"^\s*(Args|Attributes|Raises|Returns|Yields):\s*$", re.MULTILINE)
_NAMES = re.compile(r"`([\w.]+)`")
_OWN = ("__init__", "__call__")
"""Methods with underscores whose parameters are public all the same."""


@cache
def package() -> griffe.Module:
    """The library as griffe sees it, without importing it."""
    module = griffe.load("trtasync", search_paths=[ROOT])
    assert isinstance(module, griffe.Module)
    return module


def lookup(path: str) -> griffe.Object:
    """What a public path, such as `trtasync.Engine`, stands for."""
    found = package()[path.removeprefix("trtasync.")]
    target = found.final_target if isinstance(found, griffe.Alias) else found
    assert isinstance(target, griffe.Object)
    return target


def everything(module: griffe.Object) -> Iterator[griffe.Object]:
    """A module and all that is defined in it, at any depth."""
    yield module
    for member in module.members.values():
        if isinstance(member, griffe.Object):
            yield from everything(member)


def public(thing: griffe.Object) -> Iterator[griffe.Object]:
    """A public class or function and its public members."""
    yield thing
    if isinstance(thing, griffe.Class):
        for name, member in thing.members.items():
            if isinstance(member, griffe.Function) and (name[0] != "_" or name in _OWN):
                yield member


def misread(thing: griffe.Object) -> list[str]:
    """Sections of a docstring that are not understood, and parameters that do not exist."""
    if thing.docstring is None:
        return []
    sections, complaints = _parse(thing.docstring)
    for section in sections:
        if section.kind is griffe.DocstringSectionKind.text:
            complaints += [f"{each}: is not read" for each in _UNREAD.findall(section.value)]
        if section.kind is griffe.DocstringSectionKind.attributes:
            complaints += [
                f"Attribute {each.name!r} does not exist"
                for each in section.value
                if not _has(thing, each.name)
            ]
    return [f"{thing.path}: {each}" for each in complaints]


def undocumented(thing: griffe.Object) -> list[str]:
    """Parameters of a function that neither a section nor the text of its docstring names.

    What a docstring refers to (`See `Backend.open``) counts as its own. A dataclass's parameters
    are its attributes.
    """
    if not isinstance(thing, griffe.Function):
        return []
    if thing.docstring is None and thing.name == "__init__" and thing.parent is not None:
        known = _named(thing.parent)
    elif thing.docstring is not None and thing.docstring.value.startswith("Not for users"):
        return []
    else:
        known = _named(thing)
    missing = [
        each.name
        for each in thing.parameters
        if each.name not in ("self", "cls") and each.name not in known
    ]
    return [f"{thing.path}: parameter {name!r} is not documented" for name in missing]


def _has(owner: griffe.Object, attribute: str) -> bool:
    """Declared, or set in whatever method."""
    return attribute in owner.all_members or f"self.{attribute}" in owner.source


def _parse(docstring: griffe.Docstring) -> tuple[list[griffe.DocstringSection], list[str]]:
    heard: list[str] = []
    ear = logging.Handler(logging.WARNING)
    ear.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("griffe")
    logger.addHandler(ear)
    try:
        sections = docstring.parse("google", returns_named_value=False, warn_missing_types=False)
    finally:
        logger.removeHandler(ear)
    return sections, heard


def _named(thing: griffe.Object, follow: bool = True) -> set[str]:
    """All that a docstring documents."""
    names = {
        name
        for name, member in thing.members.items()
        if isinstance(member, griffe.Attribute) and member.docstring is not None
    }
    if thing.docstring is None:
        return names
    for section in _parse(thing.docstring)[0]:
        if section.kind in (
            griffe.DocstringSectionKind.parameters,
            griffe.DocstringSectionKind.attributes,
        ):
            names |= {each.name.lstrip("*") for each in section.value}
    for name in _NAMES.findall(thing.docstring.value):
        names.add(name)
        other = _found(thing, name) if follow else None
        if other is not None:
            names |= _named(other, follow=False)
    return names


def _found(thing: griffe.Object, name: str) -> griffe.Object | None:
    """What a name in a docstring means: in the package, in the module or beside the method."""
    for scope in (package(), thing.module, thing.parent):
        if scope is not None:
            with suppress(KeyError, griffe.AliasResolutionError):
                found = scope[name.removeprefix("trtasync.")]
                return found.final_target if isinstance(found, griffe.Alias) else found
    return None
