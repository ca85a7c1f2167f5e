"""Which batch sizes the profiles of a plan allow: ranges, with or without gaps between them."""

from collections.abc import Iterable, Sequence

from trtasync.errors import InvalidInput

BatchRange = tuple[int, int]
"""Rows of the smallest and of the largest batch, both allowed."""


def merged(ranges: Iterable[BatchRange]) -> tuple[BatchRange, ...]:
    """Merge ranges, which may be empty, into disjoint, non-adjacent ones, ascending."""
    found: list[BatchRange] = []
    for low, high in sorted((low, high) for low, high in ranges if low <= high):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)


def default_sizes(ranges: Sequence[BatchRange], largest: int) -> tuple[int, ...]:
    """Both ends of every range and the powers of two within, up to `largest`, which is included."""
    sizes = {largest}
    for low, high in ranges:
        powers = [1 << bit for bit in range(high.bit_length())]
        sizes |= {size for size in (low, high, *powers) if low <= size <= min(high, largest)}
    return tuple(sorted(sizes))


def demand_allowed(ranges: Sequence[BatchRange], sizes: Sequence[int]) -> None:
    """Refuse batch sizes that no profile allows.

    Args:
        ranges: as `merged` returns them; () if nothing is batched.
        sizes: those to be run.

    Raises:
        InvalidInput: naming the sizes and what is allowed.
    """
    if not ranges:
        return
    beyond = [size for size in sizes if not any(low <= size <= high for low, high in ranges)]
    if beyond:
        raise InvalidInput(
            f"no optimization profile of the plan allows batches of {_listed(beyond)} rows; choose "
            f"max_batch_size and batch_sizes among those that are allowed: {written(ranges)}."
        )


def written(ranges: Iterable[BatchRange]) -> str:
    """E.g. "1, 9 to 16"."""
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges)


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
