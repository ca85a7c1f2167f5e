"""Which configurations there are to choose from, and which are next to each other. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, get_args

Buckets = Literal["any", "powers", "coarse", "full"]
"""Which batch sizes run: any; powers of two; every other power of two; the largest only."""

BUCKETS: tuple[Buckets, ...] = get_args(Buckets)

T = TypeVar("T")

AXES = ("max_batch_size", "streams", "graphs", "threads", "buckets")
"""In the order in which they are looked at: what matters most comes first."""

ORDERED = ("max_batch_size", "streams")
"""Axes on which "next to" means the next number; on the others every value is next to every one."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is tuned of an engine.

    Attributes:
        streams: per device.
        max_batch_size: rows of the largest batch.
        buckets: which batch sizes run.
        graphs: CUDA graphs; None where there are none.
        threads: CPU threads per run; None for the engine's default.
    """

    streams: int
    max_batch_size: int
    buckets: Buckets
    graphs: bool | None = None
    threads: int | None = None

    @property
    def name(self) -> str:
        """In words."""
        words = [
            f"{self.streams} stream{'s' if self.streams > 1 else ''}",
            f"batch {self.max_batch_size}",
            f"sizes {BUCKET_WORDS[self.buckets]}",
        ]
        if self.graphs is not None:
            words.append("graphs" if self.graphs else "no graphs")
        if self.threads is not None:
            words.append(f"{self.threads} thread{'s' if self.threads > 1 else ''}")
        return ", ".join(words)


BUCKET_WORDS: Mapping[Buckets, str] = {
    "any": "any",
    "powers": "powers of 2",
    "coarse": "coarse",
    "full": "full",
}


@dataclass(frozen=True, slots=True)
class Space:
    """The values to choose from, smallest first on the ordered axes.

    Attributes:
        streams: see `Config`, as all of these.
        max_batch_size: likewise.
        buckets: likewise; the engine's default first.
        graphs: likewise; the default first.
        threads: likewise; the default first.
        natural: largest batch -> the batch sizes of an engine that is given none; () is any size.
        cores: to be shared by streams, when `threads` is the default.
    """

    streams: tuple[int, ...]
    max_batch_size: tuple[int, ...]
    buckets: tuple[Buckets, ...]
    graphs: tuple[bool | None, ...] = (None,)
    threads: tuple[int | None, ...] = (None,)
    natural: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    cores: int = 1

    def normal(self, config: Config) -> Config:
        """The first of all configurations that come to the same as `config`."""
        same = [
            kind
            for kind in self.buckets
            if config.max_batch_size == 1 or self.sizes(config, kind) == self.sizes(config)
        ]
        threads = None if config.threads == max(1, self.cores // config.streams) else config.threads
        if threads is None and None not in self.threads:
            threads = config.threads
        return replace(config, buckets=same[0] if same else config.buckets, threads=threads)

    def sizes(self, config: Config, kind: Buckets | None = None) -> tuple[int, ...]:
        """The batch sizes that `config` runs, if its buckets are of `kind`; () is any size."""
        chosen, largest = kind or config.buckets, config.max_batch_size
        natural = self.natural.get(largest, ())
        if chosen == "any":
            return natural
        if chosen == "full":
            return (largest,)
        powers = natural or powers_of_two(largest)
        return powers if chosen == "powers" else tuple(sorted({powers[0], *powers[::-2]}))

    def near(self, config: Config) -> Config:
        """The configuration of this space nearest to `config`, which may lie outside."""
        return self.normal(
            Config(
                streams=_nearest(self.streams, config.streams),
                max_batch_size=_nearest(self.max_batch_size, config.max_batch_size),
                buckets=_or_first(config.buckets, self.buckets),
                graphs=_or_first(config.graphs, self.graphs),
                threads=_or_first(config.threads, self.threads),
            )
        )

    def line(self, config: Config, axis: str) -> list[Config]:
        """All values of one `axis` with the other values of `config`, the nearest first."""
        values = list(getattr(self, axis))
        mine = getattr(config, axis)
        here = values.index(mine) if mine in values else 0
        order = sorted(range(len(values)), key=lambda index: (abs(index - here), index))
        return self._distinct(replace(config, **{axis: values[index]}) for index in order)

    def neighbours(self, config: Config) -> list[Config]:
        """Those one step from `config`: along one axis, or along streams and batch at once."""
        found: list[Config] = []
        steps: dict[str, list[Any]] = {}
        for axis in AXES:
            values = list(getattr(self, axis))
            mine = getattr(config, axis)
            if axis in ORDERED:
                here = values.index(mine)
                steps[axis] = [values[i] for i in (here - 1, here + 1) if 0 <= i < len(values)]
            else:
                steps[axis] = [value for value in values if value != mine]
            found += [replace(config, **{axis: value}) for value in steps[axis]]
        for batch, streams in itertools.product(*(steps[axis] for axis in ORDERED)):
            found.append(replace(config, max_batch_size=batch, streams=streams))
        return [each for each in self._distinct(found) if each != config]

    def all(self) -> list[Config]:
        """Every configuration once, the simplest first."""
        values = itertools.product(
            self.streams, self.max_batch_size, self.buckets, self.graphs, self.threads
        )
        return sorted(self._distinct(itertools.starmap(Config, values)), key=self.weight)

    def weight(self, config: Config) -> tuple[int, ...]:
        """A key that sorts each `config` from simple to costly: rows that streams hold (memory, and
        how long a caller waits behind others), streams, then how far from the engine's defaults."""
        return (
            config.streams * config.max_batch_size,
            config.streams,
            _place(self.graphs, config.graphs),
            _place(self.threads, config.threads),
            _place(self.buckets, config.buckets),
        )

    def options(self, config: Config) -> dict[str, Any]:
        """What to give `open_engine` for `config`; what it would do anyway is left out."""
        found: dict[str, Any] = {
            "streams": config.streams,
            "max_batch_size": config.max_batch_size,
        }
        sizes = self.sizes(config)
        if sizes and sizes != self.natural.get(config.max_batch_size, ()):
            found["batch_sizes"] = list(sizes)
        if config.graphs is False:
            found["graphs"] = False
        if config.threads is not None:
            found["threads"] = config.threads
        return found

    def _distinct(self, configs: Iterator[Config] | Sequence[Config]) -> list[Config]:
        return list(dict.fromkeys(map(self.normal, configs)))


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4 ... below `largest`, and that."""
    return (*(1 << bit for bit in range(largest.bit_length()) if 1 << bit < largest), largest)


def _nearest(values: Sequence[int], wanted: int) -> int:
    return min(values, key=lambda value: (abs(value - wanted), value))


def _or_first(value: T, values: Sequence[T]) -> T:
    return value if value in values else values[0]


def _place(values: Sequence[Any], value: Any) -> int:
    return values.index(value) if value in values else len(values)
