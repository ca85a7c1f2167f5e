"""Holds a protocol of ours against what the bindings offer."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.bindings import Bindings, Member, Owner, accepts, written

STAND_INS = {"__iter__": "__getitem__"}
"""Python iterates over anything with `__getitem__`, and that is how `Dims` does it."""

CONSTRUCTED = "__call__"
"""In a protocol that stands for a base class: a subclass is made without arguments."""


@dataclass(frozen=True)
class Claim:
    """One member of a protocol: what we say that TensorRT has.

    Attributes:
        parameters: Names in order, without `self`; None for an attribute.
        everywhere: False for what is marked with `only_some`.
    """

    name: str
    parameters: tuple[str, ...] | None
    everywhere: bool = True


def claims(protocol: type) -> list[Claim]:
    """What a protocol says, without what `typing.Protocol` itself puts into it."""
    attributes = [Claim(name, None) for name in inspect.get_annotations(protocol)]
    return attributes + [
        _claim(name, value)
        for name, value in vars(protocol).items()
        if inspect.isroutine(value) or isinstance(value, property)
        if getattr(_function(value), "__module__", None) == protocol.__module__
    ]


def _function(value: Any) -> Any:
    return value.fget if isinstance(value, property) else value


def _claim(name: str, value: Any) -> Claim:
    everywhere = not hasattr(_function(value), "only_some")
    if isinstance(value, property):
        return Claim(name, None, everywhere)
    return Claim(name, tuple(inspect.signature(value).parameters)[1:], everywhere)


def only_some_names(protocols: Iterable[type]) -> set[str]:
    """What may be reached behind a `hasattr` only."""
    return {
        claim.name for protocol in protocols for claim in claims(protocol) if not claim.everywhere
    }


def complaints(protocol: type, name: str, bindings: Bindings) -> list[str]:
    """What one version lacks or has otherwise; `name` is the owner's in the bindings."""
    owner = bindings.owners.get(name)
    if owner is None:
        return [f"{protocol.__name__}: TensorRT {bindings.version} has no {name}"]
    found = ((claim, _complaint(claim, owner)) for claim in claims(protocol))
    place = f"TensorRT {bindings.version}, {name or 'the module'}"
    return [f"{protocol.__name__}.{claim.name}: {place}: {text}" for claim, text in found if text]


def unknown_everywhere(protocol: type, name: str, versions: Iterable[Bindings]) -> list[str]:
    """What is marked `only_some` and exists in no version at all: a misspelt name, most likely."""
    known = {each for bindings in versions for each in _members(bindings, name)}
    return [
        f"{protocol.__name__}.{claim.name}: marked only_some, but no version checked has it"
        for claim in claims(protocol)
        if not claim.everywhere and claim.name not in known
    ]


def _members(bindings: Bindings, name: str) -> Mapping[str, Member]:
    owner = bindings.owners.get(name)
    return owner.members if owner else {}


def _complaint(claim: Claim, owner: Owner) -> str | None:
    if claim.name == CONSTRUCTED:
        return None if owner.subclassable else "a subclass cannot be made without arguments"
    member = owner.members.get(claim.name) or owner.members.get(STAND_INS.get(claim.name, ""))
    if member is None:
        return "there is no such name" if claim.everywhere else None
    check: Callable[[Claim, Member], str | None]
    check = _as_attribute if claim.parameters is None else _as_method
    return None if claim.name in STAND_INS else check(claim, member)


def _as_attribute(claim: Claim, member: Member) -> str | None:
    return f"{claim.name} is a method there" if member.kind == "method" else None


def _as_method(claim: Claim, member: Member) -> str | None:
    if member.kind not in ("method", "class"):
        return f"{claim.name} is a {member.kind} there, not a method"
    parameters = claim.parameters or ()
    if any(accepts(overload, parameters) for overload in member.overloads):
        return None
    takes = " or ".join(written(overload) for overload in member.overloads) or "nothing readable"
    return f"takes {takes}, not ({', '.join(parameters)})"
