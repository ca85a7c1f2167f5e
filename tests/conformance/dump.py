"""Prints what the genuine bindings on the path offer, as JSON.

Run as a program, alone in a process: two versions cannot be loaded into one, and the bindings'
warnings are then not the test run's. `bindings.py` reads the output back.
"""

import inspect
import json
import re
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

DUNDERS = ("__getitem__", "__iter__", "__len__")
OPENING, CLOSING = "([{<", ")]}>"

Overloads = list[list[dict[str, Any]]]


def split_at_commas(text: str) -> list[str]:
    """`a: T[x, y] = <E.M: 0>, b: int` in two: commas inside brackets separate nothing."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in OPENING) - (letter in CLOSING)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def parameter(text: str) -> dict[str, Any]:
    """A parameter as pybind11 writes it: `name: type = default`; or the `*` before keywords."""
    name = re.split(r"[:=\s]", text, maxsplit=1)[0]
    return {"name": name, "required": name != "*" and " = " not in text}


def written_overloads(name: str, doc: str) -> Overloads:
    """The signatures in a pybind11 docstring: its first line, or a numbered one per overload."""
    lines = re.findall(rf"^(?:\d+\. )?{re.escape(name)}\((.*)\) -> ", doc, flags=re.MULTILINE)
    overloads = [[parameter(part) for part in split_at_commas(line)] for line in lines]
    return [[each for each in overload if each["name"] != "self"] for overload in overloads]


def overloads_of(name: str, function: Any) -> Overloads:
    """Of a bound C++ function, or of one of the few that the bindings write in Python."""
    if not inspect.isfunction(function):
        return written_overloads(name, function.__doc__ or "")
    parameters = inspect.signature(function).parameters.values()
    return [[{"name": p.name, "required": p.default is p.empty} for p in parameters]]


def member(owner: Any, name: str) -> dict[str, Any]:
    """What sort of thing a name is, and what it takes if it can be called."""
    raw = inspect.getattr_static(owner, name)
    if type(raw).__name__ in ("property", "pybind11_static_property"):
        return {"kind": "property", "overloads": []}
    found = getattr(owner, name)
    if inspect.isclass(found):
        return {"kind": "class", "overloads": overloads_of("__init__", found.__init__)}
    if inspect.isroutine(found):
        return {"kind": "method", "overloads": overloads_of(name, found)}
    return {"kind": "value", "overloads": [], "number": number(owner, found)}


def number(owner: Any, value: Any) -> int | None:
    """Of a member of an enum."""
    return int(value) if type(value) is owner and hasattr(owner, "__members__") else None


def names_of(owner: Any) -> list[str]:
    """Public names, and those dunders that the owner adds to what every object has."""
    return [name for name in dir(owner) if not name.startswith("_") or name in DUNDERS]


def subclassable(owner: Any) -> bool:
    """Whether a subclass can be made without arguments, as interfaces for applications can."""
    if not inspect.isclass(owner) or [] not in overloads_of("__init__", owner.__init__):
        return False
    try:
        type("Subclass", (owner,), {})()
    except (TypeError, RuntimeError):  # some want a driver, and say so
        return False
    return True


def describe(owner: Any) -> dict[str, Any]:
    members = {name: member(owner, name) for name in names_of(owner)}
    doc = inspect.getdoc(owner) or ""
    return {"doc": doc, "members": members, "subclassable": subclassable(owner)}


def describe_module(module: ModuleType) -> dict[str, dict[str, Any]]:
    """The module under "", its classes and the classes in those under their dotted names."""
    described = {"": describe(module)}
    described[""]["members"]["__version__"] = {"kind": "value", "overloads": []}
    for name, outer in inspect.getmembers(module, inspect.isclass):
        described[name] = describe(outer)
        for inner_name, inner in inspect.getmembers(outer, inspect.isclass):
            if not inner_name.startswith("_"):
                described[f"{name}.{inner_name}"] = describe(inner)
    return described


if __name__ == "__main__":
    genuine = import_module(sys.argv[1])
    json.dump({"version": genuine.__version__, "classes": describe_module(genuine)}, sys.stdout)
