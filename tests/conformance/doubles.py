"""Holds a double of the tests against the genuine thing: it must not offer what that does not."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import Any

from tests.conformance.bindings import Bindings, Member, Owner, Parameter, accepts, written
from tests.conformance.dump import names_of


def read_class(double: type) -> Owner:
    """Its public members, also those that only its methods set: doubles are not made for this."""
    members = {
        name: Member("property")
        for base in _own(double)
        for name in [*inspect.get_annotations(base), *_set_on_self(base)]
        if not name.startswith("_")
    }
    ours = {name for base in _own(double) for name in vars(base)}
    ours.update(getattr(double, "__members__", ()))
    names = [name for name in names_of(double) if name in ours and not _is_disowned(double, name)]
    return Owner(members | {name: _member(double, name) for name in names})


def _is_disowned(double: type, name: str) -> bool:
    """`__len__ = None`: it has not what its base has."""
    return name.startswith("__") and inspect.getattr_static(double, name) is None


def read_base(double: type) -> Owner:
    """`read_class`, of something to be subclassed: is there an `__init__` without arguments?"""
    type("Subclass", (double,), {})()
    return Owner(read_class(double).members, subclassable=True)


def read_module(double: ModuleType) -> Owner:
    names = [*names_of(double), *(name for name in ("__version__",) if hasattr(double, name))]
    return Owner({name: _member(double, name) for name in names})


def _own(double: type) -> list[type]:
    """The class and its bases, without those of Python itself (`object`, `enum.Enum`)."""
    return [
        base
        for base in double.__mro__
        if base.__module__.partition(".")[0] not in sys.stdlib_module_names
    ]


def _set_on_self(double: type) -> Iterator[str]:
    """`x` of each `self.x = ...`; nothing for a class that a call has made, such as an enum."""
    try:
        source = textwrap.dedent(inspect.getsource(double))
    except OSError:
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name("self"), attr=name, ctx=ast.Store()):
                yield name


def _member(owner: Any, name: str) -> Member:
    raw = inspect.getattr_static(owner, name)
    value = getattr(owner, name)
    if isinstance(raw, property):
        return Member("property")
    if inspect.isclass(value):
        return Member("class", (_overload(value),))
    if inspect.isroutine(value):
        unbound = inspect.isclass(owner) and inspect.isfunction(raw)
        return Member("method", (_overload(value)[1 if unbound else 0 :],))
    return Member("value")


def _overload(function: Any) -> tuple[Parameter, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(Parameter(each.name, each.default is each.empty) for each in parameters)


def inventions(
    name: str, double: Owner, bindings: Bindings, only_some: Collection[str]
) -> list[str]:
    """What a double of the class `name` has, and one version has not, or has otherwise."""
    genuine = bindings.owners[name].members
    return [
        f"{name}.{each}: TensorRT {bindings.version}: {text}"
        for each, member in double.members.items()
        if (text := _invention(member, genuine.get(each), each in only_some))
    ]


def _invention(double: Member, genuine: Member | None, excused: bool) -> str | None:
    if genuine is None:
        return None if excused else "there is no such name"
    if "method" not in (double.kind, genuine.kind):
        return None
    if double.kind != genuine.kind:
        return f"is a {genuine.kind} there, and a {double.kind} in the double"
    (taken,) = double.overloads
    if any(accepts(overload, [each.name for each in taken]) for overload in genuine.overloads):
        return None
    takes = " or ".join(map(written, genuine.overloads))
    return f"takes {takes}, and {written(taken)} in the double"


def cuda_functions(double: Mapping[str, Any]) -> dict[str, Any]:
    """Those that stand for functions of the runtime."""
    names = {name: value for name, value in double.items() if name.startswith("cuda")}
    return {name: value for name, value in names.items() if inspect.isroutine(value)}


def cuda_inventions(double: Mapping[str, Any], genuine: ModuleType) -> list[str]:
    """What of a double's `cuda...` names the genuine runtime has not, or has otherwise."""
    found = (
        (name, _cuda_invention(name, value, genuine))
        for name, value in double.items()
        if name.startswith("cuda")
    )
    return [f"{name}: {text}" for name, text in found if text]


def _cuda_invention(name: str, double: Any, genuine: ModuleType) -> str | None:
    if not hasattr(genuine, name):
        return f"{genuine.__name__} has no such name"
    if inspect.isclass(double):
        return ", ".join(_unlike(double, getattr(genuine, name))) or None
    if inspect.isroutine(double):
        return _taken_otherwise(double, getattr(genuine, name))
    if double != getattr(genuine, name):
        return f"is {getattr(genuine, name)!r}, and {double!r} in the double"
    return None


def _taken_otherwise(double: Any, genuine: Any) -> str | None:
    """The first line of the genuine docstring is the signature too; Cython gives both."""
    ours, theirs = (", ".join(inspect.signature(each).parameters) for each in (double, genuine))
    return None if ours == theirs else f"takes ({theirs}), and ({ours}) in the double"


def _unlike(double: type, genuine: type) -> Iterator[str]:
    """Members of an enum, or fields of a structure, that are not there or have another value."""
    for name in read_class(double).members:
        if not hasattr(genuine, name):
            yield f"there is no {name}"
            continue
        ours, theirs = getattr(double, name, None), getattr(genuine, name)
        if isinstance(getattr(ours, "value", ours), int) and _number(ours) != _number(theirs):
            yield f"{name} is {_number(theirs)}, and {_number(ours)} in the double"


def _number(value: Any) -> int:
    return int(getattr(value, "value", value))
