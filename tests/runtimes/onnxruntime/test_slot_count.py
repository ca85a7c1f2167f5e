"""How many slots a lane on the CPU has."""

from dataclasses import replace

import pytest

from support.helpers import tensor
from trtasync.model.tensors import ModelSpec
from trtasync.runtimes.onnxruntime.backend import LEAST_SLOTS, MOST_SLOTS, SLOT_MEMORY, slot_count


def spec(width: int | str) -> ModelSpec:
    return ModelSpec.from_tensors([tensor("x", "N", width)], [tensor("y", "N", 10)])


@pytest.mark.parametrize(
    ("width", "capacity", "count"),
    [
        (64, 8, MOST_SLOTS),
        (3072, 8, MOST_SLOTS),
        (3072, 128, 5),
        (150_528, 8, LEAST_SLOTS),
        ("w", 8, MOST_SLOTS),
    ],
)
def test_small_rows_have_many_and_large_ones_few(
    width: int | str, capacity: int, count: int
) -> None:
    assert slot_count(spec(width), capacity) == count


def test_beyond_the_first_two_they_stay_within_their_memory() -> None:
    for width in (1, 100, 10_000, 1_000_000):
        slots = slot_count(spec(width), 16)
        assert slots == LEAST_SLOTS or slots * 16 * (width + 10) * 4 <= SLOT_MEMORY


def test_a_model_whose_requests_run_alone_has_the_least() -> None:
    alone = replace(spec(4), batched=False)
    assert slot_count(alone, 1) == LEAST_SLOTS
