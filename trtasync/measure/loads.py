"""Loads: callers that wait for their answers, or arrivals that do not."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.measure.statistics import Seconds

Arrivals = Literal["poisson", "constant"]
N = TypeVar("N", int, float)

DEFAULT_CONCURRENCY = (1, 8, 64, 256)


@dataclass(frozen=True, slots=True)
class Closed:
    """A number of callers, each of which asks again as soon as it has its answer.

    Attributes:
        concurrency: the number of callers.
    """

    concurrency: int

    def __post_init__(self) -> None:
        demand_positive("a concurrency", self.concurrency)

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return f"{self.concurrency} caller{'s' if self.concurrency > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Open:
    """Requests that arrive at a rate, independently of earlier ones.

    Attributes:
        rate: requests per second; with `relative`, a fraction of the capacity measured before.
        arrivals: "poisson" (independent callers) or "constant".
        relative: see `rate`.
    """

    rate: float
    arrivals: Arrivals = "poisson"
    relative: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate < math.inf:
            raise InvalidInput(f"a rate must be above 0, not {self.rate!r}.")
        if self.arrivals not in ("poisson", "constant"):
            raise InvalidInput(f"arrivals are 'poisson' or 'constant', not {self.arrivals!r}.")

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return f"{self.rate:.0%} of capacity" if self.relative else f"{self.rate:,.0f}/s"

    def at(self, capacity: float) -> float:
        """Requests per second, given the `capacity`, also in requests per second."""
        return self.rate * capacity if self.relative else self.rate

    def schedule(self, rate: float, seconds: float, seed: int) -> Seconds:
        """Return the times at which requests are due, in seconds from the start, ascending.

        Args:
            rate: requests per second.
            seconds: all times are below this.
            seed: for the random times of Poisson arrivals.
        """
        if self.arrivals == "constant":
            return np.arange(0.0, seconds, 1 / rate)
        chance = np.random.default_rng(seed)
        count = int(rate * seconds + 6 * math.sqrt(rate * seconds) + 6)
        due = np.cumsum(chance.exponential(1 / rate, count))
        return due[due < seconds]


Load = Closed | Open


def as_json(load: Load) -> dict[str, Any]:
    """Convert a load for `json.dumps`."""
    return {"kind": "closed" if isinstance(load, Closed) else "open", **asdict(load)}


def demand_positive(what: str, value: Any) -> None:
    """Raise InvalidInput unless the value is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{what} must be a whole number of at least 1, not {value!r}.")


def read_concurrency(text: str) -> list[Closed]:
    """Parse "1,8,64"."""
    return [Closed(number) for number in read_numbers(text, "--concurrency", int)]


def read_rates(text: str, arrivals: Arrivals) -> list[Open]:
    """Parse "1000,2000" (requests/s), or fractions of the measured capacity: "50%,0.9x".

    Raises:
        InvalidInput: the text has another form.
    """
    found = []
    for part in _parts(text) or [text]:
        relative = part.endswith(("%", "x"))
        try:
            number = float(part[:-1] if relative else part)
        except ValueError:
            raise InvalidInput(
                "--rate takes requests per second, e.g. 1000,2000, or percentages of what the "
                f"closed loop reaches, e.g. 50%,90%, not {part!r}."
            ) from None
        found.append(Open(number / 100 if part.endswith("%") else number, arrivals, relative))
    return found


def read_numbers(text: str, option: str, kind: type[N]) -> list[N]:
    """Parse numbers separated by commas.

    Raises:
        InvalidInput: the text has another form; names the option.
    """
    try:
        found = [kind(part) for part in _parts(text)]
    except ValueError:
        found = []
    if not found:
        raise InvalidInput(f"{option} takes numbers separated by commas, not {text!r}.")
    return found


def read_seconds(text: str, option: str) -> float:
    """Parse "20ms", "500us", "1.5s" or a bare number of seconds.

    Raises:
        InvalidInput: the text has another form; names the option.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s)?\s*", text)
    if match is None:
        raise InvalidInput(f"{option} takes a time such as 20ms, 500us or 1.5s, not {text!r}.")
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, None: 1.0}[match[2]]


def distinct(loads: Iterable[Load]) -> Sequence[Load]:
    """Remove duplicates, and keep the order."""
    return list(dict.fromkeys(loads))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
