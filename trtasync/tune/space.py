"""The search space: its configurations, and which are neighbours. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, get_args

Buckets = Literal["any", "powers", "coarse", "full"]
"""Sets of batch sizes: any; powers of two; every other power of two; the largest only."""

BUCKETS: tuple[Buckets, ...] = get_args(Buckets)

T = TypeVar("T")

AXES = ("max_batch_size", "streams", "graphs", "threads", "buckets")
"""In the order in which they are explored: the most important first."""

ORDERED = ("max_batch_size", "streams")
"""Axes on which neighbours are adjacent numbers; on the others all values are neighbours."""


@dataclass(frozen=True, slots=True)
class Config:
    """The tuned options of an engine.

    Attributes:
        streams: streams per device.
        max_batch_size: rows of the largest batch.
        buckets: the set of batch sizes.
        graphs: CUDA graphs; None if the backend has none.
        threads: CPU threads per run; None for the engine's default.
    """

    streams: int
    max_batch_size: int
    buckets: Buckets
    graphs: bool | None = None
    threads: int | None = None

    @property
    def name(self) -> str:
        """The configuration in words."""
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
    """The values to choose from, in ascending order on the ordered axes.

    Attributes:
        streams: see `Config` for this and the following.
        max_batch_size: likewise.
        buckets: likewise; the engine's default first.
        graphs: likewise; the default first.
        threads: likewise; the default first.
        natural: largest batch -> default batch sizes of the engine; () is any size.
        cores: divided among streams if `threads` is the default.
    """

    streams: tuple[int, ...]
    max_batch_size: tuple[int, ...]
    buckets: tuple[Buckets, ...]
    graphs: tuple[bool | None, ...] = (None,)
    threads: tuple[int | None, ...] = (None,)
    natural: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    cores: int = 1

    def normal(self, config: Config) -> Config:
        """The first of all configurations that are equivalent to `config`."""
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
        """The batch sizes of `config`, or those with buckets of `kind`; () is any size."""
        chosen, largest = kind or config.buckets, config.max_batch_size
        natural = self.natural.get(largest, ())
        if chosen == "any":
            return natural
        if chosen == "full":
            return (largest,)
        powers = natural or powers_of_two(largest)
        return powers if chosen == "powers" else tuple(sorted({powers[0], *powers[::-2]}))

    def near(self, config: Config) -> Config:
        """The configuration of this space nearest to `config`, which may be outside."""
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
        """Configurations one step from `config`: on one axis, or on streams and batch at once."""
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
        """A sort key for each `config`, from simple to costly: rows held by streams (memory, and
        the wait behind others), number of streams, then the distance from the engine's defaults."""
        return (
            config.streams * config.max_batch_size,
            config.streams,
            _place(self.graphs, config.graphs),
            _place(self.threads, config.threads),
            _place(self.buckets, config.buckets),
        )

    def options(self, config: Config) -> dict[str, Any]:
        """The options of `open_engine` for `config`, without those that are defaults anyway."""
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
    """1, 2, 4 ... below `largest`, and `largest` itself."""
    return (*(1 << bit for bit in range(largest.bit_length()) if 1 << bit < largest), largest)


def _nearest(values: Sequence[int], wanted: int) -> int:
    return min(values, key=lambda value: (abs(value - wanted), value))


def _or_first(value: T, values: Sequence[T]) -> T:
    return value if value in values else values[0]


def _place(values: Sequence[Any], value: Any) -> int:
    return values.index(value) if value in values else len(values)
