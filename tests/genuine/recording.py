"""Objects of TensorRT that note whatever is done with them, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

LEVELS = {"INTERNAL_ERROR": "ERROR", "ERROR": "ERROR", "WARNING": "WARNING"}
"""Of the log; what is said at other levels is nobody's business."""

LONG = 60
"""Letters; texts beyond are prose, and everybody's own."""


KINDS = {
    "ITensor": "tensor",
    "ILayer": "layer",
    "INetworkDefinition": "network",
    "IBuilderConfig": "config",
    "IOptimizationProfile": "profile",
    "ITimingCache": "cache",
    "IHostMemory": "memory",
    "OnnxParser": "parser",
    "ParserError": "problem",
    "Weights": "weights",
}
"""What an object of TensorRT is called in a record, by its class or a base of that."""


@dataclass
class Record:
    """What a program did, step by step, in an order and in words that two builders can share.

    Attributes:
        steps: "network.add_input -> tensor", "config.set_flag raised TypeError", each with the
            levels at which it made the log speak.
        said: those levels, since the last step.
    """

    steps: list[str] = field(default_factory=list)
    said: set[str] = field(default_factory=set)

    def hear(self, severity: str) -> None:
        """A line of the log."""
        if severity in LEVELS:
            self.said.add(LEVELS[severity])

    def note(self, what: str) -> None:
        """A step has ended."""
        heard = "".join(f" [{level}]" for level in sorted(self.said))
        self.said.clear()
        self.steps.append(what + heard)

    def attempt(self, what: str, act: Callable[[], Any], link: str = " -> ") -> Any:
        """A step; what it raises is noted, and goes on."""
        try:
            result = act()
        except Exception as error:
            self.note(f"{what} raised {type(error).__name__}")
            raise
        self.note(f"{what}{link}{described(result)}")
        return result


class Recorded:
    """Stands before an object of TensorRT."""

    def __init__(self, it: Any, name: str, record: Record):
        vars(self).update(_it=it, _name=name, _record=record)

    def __getattr__(self, name: str) -> Any:
        what = f"{self._name}.{name}"
        if callable(getattr(type(self._it), name, None)):
            return lambda *arguments: self._call(what, name, arguments)
        return self._shown(self._record.attempt(what, lambda: getattr(self._it, name), " = "))

    def __setattr__(self, name: str, value: Any) -> None:
        act = partial(setattr, self._it, name, plain(value))
        self._record.attempt(f"{self._name}.{name} := {described(plain(value))}", act)

    def _call(self, what: str, name: str, arguments: tuple[Any, ...]) -> Any:
        act = partial(getattr(self._it, name), *map(plain, arguments))
        return self._shown(self._record.attempt(what, act))

    def _shown(self, result: Any) -> Any:
        name = kind_of(result)
        return Recorded(result, name, self._record) if name else result


def plain(value: Any) -> Any:
    """What stands behind a recorded object."""
    return vars(value)["_it"] if isinstance(value, Recorded) else value


def kind_of(value: Any) -> str:
    """See `KINDS`; "" for what Python has too."""
    names = (base.__name__ for base in type(value).__mro__)
    return next((KINDS[name] for name in names if name in KINDS), "")


def described(value: Any) -> str:
    """A value as both builders would have it."""
    if kind_of(value):
        return kind_of(value)
    if isinstance(value, str):
        return repr(value) if len(value) < LONG and "\n" not in value else "text"
    if isinstance(value, bool | int | float | None):
        return repr(value)
    if hasattr(value, "name") and hasattr(type(value), "__members__"):
        return f"{type(value).__name__}.{value.name}"
    if hasattr(value, "__getitem__") and not isinstance(value, bytes | dict | memoryview):
        return f"[{', '.join(described(each) for each in value)}]"
    return type(value).__name__
