"""How much memory a crowd leaves shared: what docs/deploying.md says of it."""

from hypothesis import example, given
from hypothesis import strategies as st

from trtasync.loops.base import do_nothing
from trtasync.shared.arena import FIRST_BYTES, LEAST_SLOTS, size_class
from trtasync.shared.credit import Credit

WHOLE_SLOT = 128
"""Bytes that even the smallest request takes."""


def crowd(credit: Credit, requests: int, size: int) -> None:
    """So many requests at once; all of them are over."""
    slots = [credit.take(size) for _ in range(requests)]
    for slot in slots:
        slot.give_back()


def shared(credit: Credit) -> int:
    """Bytes of all segments."""
    return sum(slot.memory.nbytes for slot in credit.slots)


@given(st.integers(1, 100), st.integers(1, 2 << 20))
@example(300, WHOLE_SLOT + 1)  # the worst of all sizes
def test_a_crowd_leaves_at_most_three_times_of_what_it_had_in_flight(
    requests: int, size: int
) -> None:
    credit = Credit(None, do_nothing)
    crowd(credit, requests, size)
    least = max(FIRST_BYTES, LEAST_SLOTS * size_class(size))
    assert shared(credit) <= max(3 * requests * max(size, WHOLE_SLOT), least)
    left = shared(credit)
    crowd(credit, requests, size)  # finds all that it needs
    assert shared(credit) == left
    credit.forget()


def test_the_example_of_the_documentation() -> None:
    credit = Credit(None, do_nothing)
    crowd(credit, 10_000, 12_288 + 40)
    assert shared(credit) == 256 << 20
    credit.forget()
