"""The promises of `trtasync.runtimes` that types cannot say, as checks any backend can be held to.

Give a `Case` to every function of `PROMISES`. A backend of your own can be tested the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest

from support.helpers import Array, same
from trtasync.errors import InferenceError
from trtasync.memory.slots import Views
from trtasync.requests.reader import RequestReader
from trtasync.runtimes import Backend, Lane, OpenLane, Slot

CAPACITY = 4
STREAMS = 2


@dataclass(frozen=True)
class Case:
    """A backend and what is known of its model.

    Attributes:
        make: opens the model anew.
        row: number -> one row per input.
        expected: rows of every input -> rows of every output.
        bad: one row per input that makes a batch fail; None when no row can.
    """

    make: Callable[[], Backend]
    row: Callable[[int], tuple[Array, ...]]
    expected: Callable[..., Sequence[Array]]
    bad: tuple[Array, ...] | None = None


class _Opened:
    """The backend of a case, with its lanes open."""

    def __init__(self, case: Case):
        self.case = case
        self.backend = case.make()
        self.reader = RequestReader(self.backend.spec, {}, lambda layout: layout)
        self.lanes: Sequence[OpenLane] = self.backend.open(STREAMS, CAPACITY, ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in reversed(self.lanes):
            lane.lane.close()
        self.backend.close()

    def fill(self, slot: Slot, numbers: Sequence[int]) -> list[Array]:
        """Stage rows; returns what the outputs must be."""
        for at, number in enumerate(numbers):
            self._stage(slot, at, self.case.row(number))
        return self.expected(numbers)

    def _stage(self, slot: Slot, at: int, values: tuple[Array, ...]) -> None:
        signature, arrays = self.reader.read(values)
        self.backend.admit(signature.queue)
        _views(slot, signature.queue).write(at, 1, arrays)

    def expected(self, numbers: Sequence[int]) -> list[Array]:
        columns = zip(*map(self.case.row, numbers), strict=True)
        return list(self.case.expected(*[np.stack(column) for column in columns]))

    def spoil(self, slot: Slot, at: int) -> None:
        assert self.case.bad is not None
        self._stage(slot, at, self.case.bad)


def _views(slot: Slot, layout: Any) -> Views:
    return slot.bind(layout)


def _run(lane: Lane, slot: Slot, rows: int) -> list[Array]:
    lane.launch(slot, rows)
    lane.wait(slot)
    return slot.outputs


def _check(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        assert same(output, wanted)


def promises_lanes_and_slots(case: Case) -> None:
    """As many lanes as asked for, each with slots of its own or for all."""
    with _Opened(case) as opened:
        assert len(opened.lanes) == STREAMS
        slots = [slot for lane in opened.lanes for slot in lane.slots]
        assert len({id(slot) for slot in slots}) == len(slots)
        for index, lane in enumerate(opened.lanes):
            assert len(lane.slots) >= lane.lane.depth >= 1
            assert all(slot.lane in (None, index) for slot in lane.slots)


def promises_specs(case: Case) -> None:
    """Names are unique, defaults possible, and the rows fit the specs."""
    with _Opened(case) as opened:
        backend = opened.backend
        for tensors in (backend.spec.inputs, backend.spec.outputs):
            assert len({tensor.name for tensor in tensors}) == len(tensors)
        assert backend.name
        assert backend.default_batch_size >= 1
        assert backend.default_streams >= 1
        assert backend.largest_batch_size is None or backend.largest_batch_size >= CAPACITY


def promises_a_row_out_for_every_row_in(case: Case) -> None:
    """Every batch size, every lane, every slot; the dtypes are those of the specs."""
    with _Opened(case) as opened:
        for lane in opened.lanes:
            for slot in lane.slots:
                for rows in (1, CAPACITY, 2, CAPACITY):
                    expected = opened.fill(slot, range(rows, 2 * rows))
                    outputs = _run(lane.lane, slot, rows)
                    _check(outputs, expected)
                    for output, tensor in zip(outputs, opened.backend.spec.outputs, strict=True):
                        assert output.dtype == tensor.dtype


def promises_times(case: Case) -> None:
    """Three stages, none of negative length, the run itself not for free."""
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        slot = lane.slots[0]
        opened.fill(slot, [1, 2])
        lane.lane.launch(slot, 2)
        times = lane.lane.wait(slot)
        assert times is not None
        assert len(times) == 3
        assert min(times) >= 0 < times[1]


def promises_to_run_what_was_moved_and_padded(case: Case) -> None:
    """Rows moved down run where they are now; padding rows harm nobody."""
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        slot = lane.slots[0]
        opened.fill(slot, [1, 2, 3])
        slot.move(1, 0, 2)
        slot.pad(2, CAPACITY)
        outputs = _run(lane.lane, slot, CAPACITY)
        _check([output[:2] for output in outputs], opened.expected([2, 3]))


def promises_outputs_that_last_as_declared(case: Case) -> None:
    """Fresh outputs are never written again, lent ones not before their slot runs again."""
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        slot, other = lane.slots[0], lane.slots[-1]
        wanted = opened.fill(slot, [1, 2, 3])
        first = list(_run(lane.lane, slot, 3))
        if other is not slot:
            opened.fill(other, [7, 8, 9])
            _run(lane.lane, other, 3)
            _check(first, wanted)
        if not opened.backend.lends_outputs:
            opened.fill(slot, [4, 5, 6])
            _check(first, wanted)
            second = _run(lane.lane, slot, 3)
            _check(first, wanted)
            for output in first:
                assert output.flags.writeable
                assert not any(np.shares_memory(output, later) for later in second)


def promises_that_lanes_do_not_meet(case: Case) -> None:
    """Batches in flight on two lanes at once keep to themselves."""
    with _Opened(case) as opened:
        one, two = opened.lanes
        first = opened.fill(one.slots[0], [1, 2, 3])
        second = opened.fill(two.slots[0], [5, 6])
        one.lane.launch(one.slots[0], 3)
        two.lane.launch(two.slots[0], 2)
        two.lane.wait(two.slots[0])
        one.lane.wait(one.slots[0])
        _check(one.slots[0].outputs, first)
        _check(two.slots[0].outputs, second)


def promises_that_lanes_of_a_device_share_slots(case: Case) -> None:
    """A slot runs on every lane of its lane's device, beside that lane's own batches too."""
    with _Opened(case) as opened:
        one, two = opened.lanes
        if one.lane.device != two.lane.device:
            return  # pragma: no cover - no case has lanes of several devices
        for _ in range(2):
            first = opened.fill(one.slots[0], [1, 2, 3])
            second = opened.fill(two.slots[0], [5, 6])
            two.lane.launch(one.slots[0], 3)
            one.lane.launch(two.slots[0], 2)
            two.lane.wait(one.slots[0])
            one.lane.wait(two.slots[0])
            _check(one.slots[0].outputs, first)
            _check(two.slots[0].outputs, second)
        home = opened.fill(one.slots[0], [4, 5])
        _check(_run(one.lane, one.slots[0], 2), home)


def promises_ready_on_asynchronous_lanes(case: Case) -> None:
    """`ready` becomes true by itself, and stays true until `wait`."""
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        if not lane.lane.asynchronous:
            return
        slot = lane.slots[0]
        wanted = opened.fill(slot, [3, 4])
        lane.lane.launch(slot, 2)
        while not lane.lane.ready(slot):
            pass  # bounded by the test's own time limit
        assert lane.lane.ready(slot)
        lane.lane.wait(slot)
        _check(slot.outputs, wanted)


def promises_depth(case: Case) -> None:
    """As many batches in flight at once as it says, answered in the order of their launches."""
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        slots = lane.slots[: lane.lane.depth]
        wanted = [opened.fill(slot, [index, index + 1]) for index, slot in enumerate(slots)]
        for slot in slots:
            lane.lane.launch(slot, 2)
        for slot, expected in zip(slots, wanted, strict=True):
            lane.lane.wait(slot)
            _check(slot.outputs, expected)


def promises_that_a_failure_leaves_the_lane_usable(case: Case) -> None:
    """A bad row fails its batch with InferenceError; the next batch on lane and slot is right."""
    if case.bad is None:
        return
    with _Opened(case) as opened:
        lane = opened.lanes[0]
        slot = lane.slots[0]
        for _ in range(2):
            opened.fill(slot, [1, 2, 3])
            opened.spoil(slot, 1)
            with pytest.raises(InferenceError) as caught:
                _run(lane.lane, slot, 3)
            assert str(caught.value)
            expected = opened.fill(slot, [1, 2, 3])
            _check(_run(lane.lane, slot, 3), expected)


PROMISES = [value for name, value in sorted(globals().items()) if name.startswith("promises_")]
