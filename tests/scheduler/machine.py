"""A naive model of the policy, and everything that can happen to it at once, in virtual time."""

import math
from collections.abc import Sequence

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.scheduler.harness import MS, AnyBatch, Desk, slot_of
from trtasync.errors import QueueFull
from trtasync.scheduler import Chunk, LaneState, Queue, Request
from trtasync.scheduler.queues import AGEING
from trtasync.scheduler.requests import LEVELS, Entry, whole
from trtasync.scheduler.states import EXPIRED, FORMING, QUEUED

QUEUE = 96  # twelve full slots
COSTS = ((0.5 * MS, 0.06 * MS), (0.1 * MS, 1 * MS), (9 * MS, 1.1 * MS))
"""Per queue: t(b) = the first + b * the second."""

lane_lists = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 2)),  # device, depth
    min_size=1,
    max_size=3,
)


def entries_of(request: Request) -> Sequence[Entry]:
    """What a request has staged, running and done included."""
    chunks: Sequence[Chunk] = request.chunks or ()
    return [request] if request.batch is not None else [chunk for chunk in chunks if chunk.batch]


def rank(request: Request) -> tuple[int, float]:
    """Those with the largest give way first."""
    return request.level, min(request.deadline, request.arrival + AGEING)


class PolicyMachine(RuleBasedStateMachine):
    """`live` are the requests whose callers wait; what the policy says of them is checked."""

    @initialize(
        lanes=lane_lists,
        slots_per_lane=st.integers(1, 3),
        owned=st.sampled_from(["pooled", "owned", "mixed"]),
        capacity=st.sampled_from([8, 6, 4, 3, 2, 1]),
        padded=st.sampled_from(["powers of two", "half", "no"]),
        delay=st.sampled_from([0.0, 0.0, 0.0, 3 * MS]),
        lead=st.sampled_from([0.0, 0.3 * MS]),
        warm=st.booleans(),
    )
    def begin(
        self,
        lanes: list[tuple[int, int]],
        slots_per_lane: int,
        owned: str,
        capacity: int,
        padded: str,
        delay: float,
        lead: float,
        warm: bool,
    ) -> None:
        self.open(COSTS, lanes, slots_per_lane, owned, capacity, padded, delay, lead, warm)

    def open(
        self,
        costs: Sequence[tuple[float, float]],
        lanes: list[tuple[int, int]],
        slots_per_lane: int,
        owned: str,
        capacity: int,
        padded: str,
        delay: float,
        lead: float,
        warm: bool,
        limit: int = QUEUE,
    ) -> None:
        self.costs = costs
        self.limit = limit
        homes: list[int | None] = []
        for index in range(len(lanes)):
            for copy in range(slots_per_lane):
                pooled = owned == "pooled" or (owned == "mixed" and copy % 2)
                homes.append(None if pooled else index)
        if padded == "no":
            sizes: tuple[int, ...] = ()
        elif padded == "half":
            sizes = tuple(sorted({1, 1 + capacity // 2, capacity}))
        else:
            sizes = tuple(sorted({*(size for size in (1, 2, 4) if size < capacity), capacity}))
        self.desk = Desk(
            max_batch_size=capacity,
            lanes=[LaneState(i, device, depth) for i, (device, depth) in enumerate(lanes)],
            homes=homes,
            batch_sizes=sizes,
            max_queue_size=limit,
            max_queue_delay=delay,
            lead=lead,
            abandoned=self.have_left,
        )
        self.sizes = sizes
        self.delay = delay
        self.queues = [Queue() for _ in costs]
        if warm:
            for number, queue in enumerate(self.queues):
                first, each = self.costs[number]
                self.desk.teach(
                    queue,
                    *range(1, capacity + 1),
                    seconds=lambda rows, first=first, each=each: first + each * rows,  # type: ignore[misc]  # early binding
                )
        self.live: list[Request] = []
        self.leaving: dict[Request, None] = {}  # in order, or a run could not be repeated
        self.pumped = True

    # -- what can happen -----------------------------------------------------------------------

    def alive(self) -> bool:
        return any(lane.alive for lane in self.desk.lanes)

    @precondition(alive)
    @rule(
        queue=st.integers(0, len(COSTS) - 1),
        rows=st.one_of(st.just(1), st.integers(1, 18)),
        level=st.one_of(st.just(5), st.integers(1, LEVELS)),
        slack=st.one_of(st.just(math.inf), st.floats(0.1 * MS, 40 * MS)),
    )
    def submit(self, queue: int, rows: int, level: int, slack: float) -> None:
        desk = self.desk
        rows = min(rows, 3 * desk.capacity, self.limit)
        # those taken in again after their deadlines may have filled the queue beyond its limit
        excess = min(rows, self.queued() + rows - self.limit)
        worse = [
            request
            for request in self.live
            if request.level > level
            and request.state is not EXPIRED
            and not any(self.is_launched(entry) for entry in entries_of(request))
        ]
        in_time = [request for request in self.live if request.state is not EXPIRED]
        try:
            request = desk.submit(self.queues[queue], rows, level=level, deadline=desk.now + slack)
        except QueueFull:
            assert excess > sum(request.rows for request in worse)
            assert desk.displaced == []
            return
        # a slot that is free again was offered to whoever waits, and some turned out to be late
        late = sum(request.rows for request in in_time if request.state is EXPIRED)
        self.live.append(request)
        self.check_displaced(worse, excess, late)
        self.pumped = False

    @precondition(alive)
    @rule(queue=st.integers(0, len(COSTS) - 1), count=st.integers(1, 7), pump=st.booleans())
    def burst(self, queue: int, count: int, pump: bool) -> None:
        """Plain requests of one loop iteration; what most batches are made of."""
        for _ in range(count):
            self.submit(queue, 1, 5, math.inf)
        if pump:
            self.pump()

    @rule()
    def pump(self) -> None:
        self.pumped = True
        for batch in self.desk.launch():
            sizes = self.sizes
            if sizes:
                assert batch.run_rows == min(size for size in sizes if size >= batch.size)
            else:
                assert batch.run_rows == batch.size
        self.check_rest()

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.live:
            request = data.draw(st.sampled_from(self.live))
            self.forget(request)
            self.desk.withdraw(request)
            self.pumped = False

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A caller is cancelled; its task will say so later."""
        if self.live:
            self.leaving[data.draw(st.sampled_from(self.live))] = None

    @rule()
    def say_so(self) -> None:
        for request in list(self.leaving):
            self.forget(request)
            self.desk.withdraw(request)
        self.leaving.clear()
        self.pumped = False

    @rule(
        data=st.data(),
        factor=st.sampled_from([0.5, 1.0, 1.0, 3.0]),
        failed=st.booleans(),
        lent=st.booleans(),
    )
    def complete(self, data: st.DataObject, factor: float, failed: bool, lent: bool) -> None:
        heads = [lane.running[0] for lane in self.desk.lanes if lane.running]
        if heads:
            batch = data.draw(st.sampled_from(heads))
            end = max(self.desk.now, batch.started + factor * self.cost(batch))
            self.end(batch, end, failed and factor == 1.0, lent)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """What was lent comes home, sooner or later."""
        if self.desk.lent:
            self.desk.come_home(data.draw(st.sampled_from(self.desk.lent)))
            self.pumped = False

    @rule(passed=st.one_of(st.floats(0, 30 * MS), st.sampled_from([0.1, 2.0, 25.0])))
    def pass_time(self, passed: float) -> None:
        self.desk.now += passed

    @rule()
    def sleep_until_woken(self) -> None:
        self.pump()
        if self.desk.policy.wake_at < math.inf:
            self.desk.now = max(self.desk.now, self.desk.policy.wake_at)
            self.pump()

    @precondition(alive)
    @rule(data=st.data(), dies=st.integers(0, 5))
    def lane_dies(self, data: st.DataObject, dies: int) -> None:
        lanes = [lane for lane in self.desk.lanes if lane.alive]
        if dies or (len(lanes) == 1 and len(self.desk.lanes) > 1 and data.draw(st.booleans())):
            return
        lane = data.draw(st.sampled_from(lanes))
        for batch in lane.running:
            for entry in batch.entries:
                self.forget(whole(entry))
        alive = self.desk.lane_died(lane.index)
        self.all_home()  # it took slots of others along: theirs may be all held
        assert alive == self.alive() == (len(lanes) > 1)
        if not alive:
            self.abort()
        self.pumped = False

    @precondition(lambda self: len(self.live) > 6)
    @rule(really=st.integers(0, 3))
    def abort_now(self, really: int) -> None:
        if not really:
            self.abort()

    def check_displaced(self, worse: list[Request], excess: int, late: int) -> None:
        """Those who could be spared most left, and no more of them than had to; `late` rows left
        by themselves meanwhile."""
        displaced = [request for request, _ in self.desk.displaced]
        self.desk.displaced.clear()
        for request in displaced:
            assert request in worse
            worse.remove(request)
            self.forget(request)
            excess -= request.rows
        if displaced:
            assert excess - late <= 0 < excess + displaced[-1].rows
            first = min(rank(request) for request in displaced)
            assert all(rank(request) <= first for request in worse if request.state is not EXPIRED)
        else:
            assert excess <= 0

    # -- how the model takes it ------------------------------------------------------------------

    def have_left(self, batch: AnyBatch) -> list[Entry]:
        """The policy's hook."""
        left = [entry for entry in batch.entries if whole(entry) in self.leaving]
        for entry in left:
            self.forget(whole(entry))
        return left

    def forget(self, request: Request) -> None:
        if request in self.live:
            self.live.remove(request)

    def cost(self, batch: AnyBatch) -> float:
        first, each = self.costs[self.queues.index(batch.queue)]
        return first + each * batch.run_rows

    def end(self, batch: AnyBatch, at: float, failed: bool = False, lent: bool = False) -> None:
        if failed:
            for entry in batch.entries:
                self.forget(whole(entry))
        answered = len(self.desk.answered)
        self.desk.finish(batch, at, failed=failed, lent=lent and not failed)
        for request in self.desk.answered[answered:]:
            assert request in self.live  # nobody is answered twice, or after giving up
            self.live.remove(request)
        self.pumped = False

    def abort(self) -> None:
        """Everything that is not running as a whole comes back, once."""
        expected = [
            request
            for request in self.live
            if request.state is EXPIRED
            or sum(entry.rows for entry in entries_of(request) if self.is_launched(entry))
            < request.rows
        ]
        drained = self.desk.policy.drain()
        assert sorted(map(id, drained)) == sorted(map(id, expected))
        for request in drained:
            self.forget(request)
            self.desk.withdraw(request)

    @staticmethod
    def is_launched(entry: Entry) -> bool:
        return entry.batch is not None and entry.batch.state is not FORMING

    def queued(self) -> int:
        return sum(
            request.rows
            - sum(entry.rows for entry in entries_of(request) if self.is_launched(entry))
            for request in self.live
            if request.state is not EXPIRED
        )

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def counts_are_the_models(self) -> None:
        policy = self.desk.policy
        assert policy.queued == self.queued()
        assert policy.in_flight == sum(batch.size for batch in self.desk.running)
        assert policy.unanswered() == len(self.live)

    @invariant()
    def only_what_has_a_deadline_is_left_out(self) -> None:
        for request in self.live:
            assert request.state in (QUEUED, EXPIRED)
            assert request.state is QUEUED or request.deadline < math.inf

    @invariant()
    def every_staged_row_lies_in_its_slot(self) -> None:
        unstaged = self.desk.policy.placements  # the engine stages these before it launches
        for batch in self.forming():
            assert 0 < batch.rows <= batch.size <= self.desk.capacity
            for entry in batch.entries:
                if entry.state is QUEUED and entry not in unstaged:
                    offset = entry.offset if isinstance(entry, Chunk) else 0
                    for index in range(entry.rows):
                        row = slot_of(batch).held[entry.row + index]
                        assert row == (whole(entry), offset + index)

    @invariant()
    def no_slot_is_idle_while_rows_wait(self) -> None:
        taken = [batch.slot for batch in (*self.forming(), *self.desk.running)] + self.desk.lent
        assert len(taken) == len({id(slot) for slot in taken})
        lanes = self.desk.lanes
        usable = [slot for slot in self.desk.slots if slot.lane is None or lanes[slot.lane].alive]
        if any(slot not in taken for slot in usable):
            assert all(queue.waiting.rows == 0 for queue in self.queues)

    def forming(self) -> list[AnyBatch]:
        found = {
            id(entry.batch): entry.batch
            for request in self.live
            if request.state is not EXPIRED
            for entry in entries_of(request)
            if entry.batch is not None and entry.batch.state is FORMING
        }
        return list(found.values())

    def check_rest(self) -> None:
        """Right after `next_batch` had nothing to do."""
        desk, policy = self.desk, self.desk.policy
        if not self.alive():
            return
        assert policy.wake_at > desk.now
        if any(request.state is EXPIRED for request in self.live):
            assert policy.wake_at < math.inf
        if policy.queued and not desk.running:
            assert policy.wake_at < math.inf
        if self.delay:
            return
        for device in {lane.device for lane in desk.lanes if lane.alive}:
            lanes = [lane for lane in desk.lanes if lane.device == device]
            if any(lane.running for lane in lanes):
                continue
            note(f"device {device} is idle")
            free = [
                slot
                for slot in desk.slots
                if slot.lane in {lane.index for lane in lanes if lane.alive}
                and all(batch.slot is not slot for batch in (*desk.running, *self.forming()))
                and slot not in desk.lent
            ]
            for batch in self.forming():
                # neither staged for it nor for any lane, nor could it be staged here instead
                assert batch.slot.lane is not None
                assert desk.lanes[batch.slot.lane].device != device
                assert not free

    def teardown(self) -> None:
        """Let it run dry: everything is answered, whatever is held, and nothing stays behind."""
        if not hasattr(self, "desk"):
            return
        desk, policy = self.desk, self.desk.policy
        for request in list(self.leaving):
            self.forget(request)
            desk.withdraw(request)
        for _ in range(1000):
            self.pump()
            heads = [lane.running[0] for lane in desk.lanes if lane.running]
            if heads:
                batch = min(heads, key=lambda batch: batch.started + self.cost(batch))
                self.end(batch, max(desk.now, batch.started + self.cost(batch)))
            elif policy.wake_at < math.inf:
                desk.now = policy.wake_at
            else:
                break
        else:
            raise AssertionError("it never comes to rest")
        assert self.live == []
        assert (policy.queued, policy.in_flight, policy.unanswered()) == (0, 0, 0)
        assert policy.drain() == []
        for queue in self.queues:
            assert queue.forming is None
            assert queue.waiting.rows == len(queue.waiting) == 0
        self.check_no_slot_was_lost()

    def all_home(self) -> None:
        for slot in list(self.desk.lent):
            self.desk.come_home(slot)

    def check_no_slot_was_lost(self) -> None:
        self.all_home()
        lanes = self.desk.lanes
        if not self.alive():
            return
        usable = [slot for slot in self.desk.slots if slot.lane is None or lanes[slot.lane].alive]
        fresh = Queue()
        for _ in usable:
            self.desk.submit(fresh, self.desk.capacity)
        assert fresh.waiting.rows == 0
        if usable:
            self.desk.run()
            assert self.desk.policy.queued == 0
