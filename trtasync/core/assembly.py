"""The parts of one engine, put together."""

from collections.abc import Sequence
from functools import partial

from trtasync.core.closing import Closing
from trtasync.core.completion import Completion, not_to_run
from trtasync.core.failing import Failing
from trtasync.core.intake import Intake
from trtasync.core.lanes import LaneThread, Worker
from trtasync.core.metrics import Statistics, StreamStatistics
from trtasync.core.pump import Pump
from trtasync.core.ranges import RangedCompletion, RangedIntake, RangedLane, RangedPump
from trtasync.core.records import Observer
from trtasync.core.stalls import Stalls
from trtasync.core.watchdog import Watchdog, WatchedLane
from trtasync.loops import EventLoop, current_loop
from trtasync.runtimes import Backend, OpenLane, Slot
from trtasync.scheduler import LaneState, Policy, PolicyOptions
from trtasync.system.ranges import wanted_domain


class Core:
    """Everything between `Engine.infer` and the lanes.

    Attributes:
        loop: the event loop that the engine belongs to.
        policy: decides which batch runs when and where.
        intake: lets requests in.
        pump: launches and completes batches.
        completion: answers requests, and counts.
        failing: fails requests that can no longer be served.
        closing: closes the engine.
        stalls: gives up lanes whose batches do not end, whenever it is told to look.
        observer: is told of requests and batches; None for nobody.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        lanes: Sequence[OpenLane],
        options: PolicyOptions,
        loop_budget: float,
        run_timeout: float | None,
    ):
        """Start idle.

        Args:
            name: of the engine.
            backend: the opened model.
            lanes: its lanes, by index.
            options: how batches are formed.
            loop_budget: seconds a run may take on the event loop.
            run_timeout: seconds after which a run is ended; None for never.
        """
        self.loop: EventLoop = current_loop()
        self.observer: Observer | None = None
        states = [LaneState(at, each.lane.device, each.lane.depth) for at, each in enumerate(lanes)]
        slots: list[Slot] = [slot for lane in lanes for slot in lane.slots]
        self.policy: Policy[Slot] = Policy(
            options,
            states,
            slots,
            not_to_run,
            lambda request, error: self.completion.displace(request, error),
            lambda entry: self.intake.keep_content(entry),
        )
        domain = wanted_domain()
        complete = Completion if domain is None else partial(RangedCompletion, domain)
        self.completion: Completion = complete(
            [spec.name for spec in backend.spec.outputs],
            backend.lends_outputs,
            self.loop.done_error,
            lambda request: self.policy.withdraw(request, self.loop.now()),
            self.policy.slots.can_lend,
            lambda slot: self.pump.returned(slot),
        )
        meter, fail = self.completion.meter, self.completion.fail
        let_in = Intake if domain is None else partial(RangedIntake, domain)
        self.intake: Intake = let_in(self.policy, self.loop, meter, fail)
        self._workers = [
            Worker(
                each.lane,
                state,
                LaneThread(f"trtasync {name} stream {at}", partial(self._thread_died, at)),
            )
            for at, (each, state) in enumerate(zip(lanes, states, strict=True))
        ]
        watchdog = None if run_timeout is None else self._watch(name, run_timeout)
        if domain is not None:
            for worker in self._workers:
                worker.lane = RangedLane(domain, worker.lane)
        make_pump = Pump if domain is None else partial(RangedPump, domain)
        self.failing: Failing = Failing(
            name, self.policy, self.loop, self._workers, self.intake, self.completion
        )
        self.pump: Pump = make_pump(
            name,
            self.policy,
            self.loop,
            self._workers,
            self.intake,
            self.completion,
            self.failing,
            loop_budget,
        )
        self.loop.callback = self.pump.pump
        self.closing: Closing = Closing(
            name, self.loop, self.pump, self.failing, self._workers, watchdog, backend.close
        )

        # with a `run_timeout`, the watchdog alone decides what takes too long
        running = list if watchdog is not None else self.failing.running
        self.stalls: Stalls = Stalls(self._workers, running, self._thread_died)

    def _thread_died(self, index: int, error: BaseException) -> None:
        self.pump.thread_died(index, error)

    def _watch(self, name: str, run_timeout: float) -> Watchdog:
        watched = [WatchedLane(worker.lane, run_timeout) for worker in self._workers]
        for worker, lane in zip(self._workers, watched, strict=True):
            worker.lane = lane
        return Watchdog(f"trtasync {name} watchdog", watched, self._thread_died)

    def statistics(self) -> Statistics:
        """Return a snapshot."""
        policy, now = self.policy, self.loop.now()
        streams = tuple(
            StreamStatistics(
                worker.state.device,
                worker.state.alive,
                len(worker.state.running),
                worker.batches,
                worker.on_loop,
                worker.measured,
                worker.compute,
                max((now - batch.started for batch in worker.state.running), default=0.0),
            )
            for worker in self._workers
        )
        return self.completion.meter.snapshot(
            queued=policy.queued,
            in_flight=policy.in_flight,
            waiting=policy.unanswered(),
            rejected=policy.rejected,
            expired=policy.expired,
            streams=streams,
        )
