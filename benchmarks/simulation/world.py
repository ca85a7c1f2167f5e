"""An event loop in virtual time, between clients, a scheduler and devices.

One turn of the loop takes in every request, every end of a batch, every caller's deadline and the
timer that are due, then asks the scheduler what should go, as `Pump.pump` does.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random

from benchmarks.simulation.arrivals import Source
from benchmarks.simulation.device import Device, Run
from benchmarks.simulation.scenarios import Scenario
from benchmarks.simulation.schedulers import Launch, Request, Scheduler

NEVER = math.inf


@dataclass(slots=True)
class Record:
    """The result of one run.

    Attributes:
        waits: of every answered request when it came and how long it took.
        arrived: when each request came.
        given_up: requests whose callers went away unanswered.
        batches: rows asked for, of every batch.
        busy: seconds in which a device had work, all devices together.
        idle_waits: turns after which a device was idle although a request waited.
        ended: when the last answer was out.
    """

    waits: list[tuple[float, float]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    given_up: int = 0
    batches: list[int] = field(default_factory=list)
    busy: float = 0.0
    idle_waits: int = 0
    ended: float = 0.0


class World:
    """One run of one scheduler."""

    def __init__(
        self,
        machine: Scenario,
        scheduler: Scheduler,
        source: Source,
        seed: str,
        patience: float = NEVER,
    ):
        """Begin at time 0.

        Args:
            machine: streams, devices, conditions.
            scheduler: decides.
            source: asks.
            seed: of the noise.
            patience: seconds after which a caller gives up; the scheduler is told.
        """
        self._machine = machine
        self._scheduler = scheduler
        self._source = source
        self._chance = Random(f"noise/{seed}")
        self._patience = patience
        self._devices = [Device() for _ in range(machine.devices)]
        self._on_device = [0] * machine.devices
        self._notes: deque[tuple[float, Run]] = deque()
        self._callers: deque[Request] = deque()
        self._timer = self._fires = NEVER
        self._free_at = 0.0
        self._waiting = 0
        self.record = Record()

    def run(self) -> Record:
        """Run until there are no more requests and everything is answered or given up."""
        devices, source, notes = self._devices, self._source, self._notes
        hop = self._machine.conditions.hop
        while True:
            device = min(devices, key=_next_at)
            now = min(source.next_at, self._fires, self._next_given_up())
            if notes and notes[0][0] < now:
                now = notes[0][0]
            now = max(now, self._free_at)
            if device.next_at <= now:
                if device.next_at == NEVER:
                    break
                for run in device.step():
                    notes.append((run.ended + hop, run))
                continue
            self._turn(now)
        self.record.busy = sum(device.busy for device in devices)
        return self.record

    def _turn(self, now: float) -> None:
        scheduler, source, record = self._scheduler, self._source, self.record
        while self._notes and self._notes[0][0] <= now:
            self._finish(self._notes.popleft()[1], now)
        while source.next_at <= now:
            born = source.next_at
            request = Request(born, source.take())
            request.arrival = now
            record.arrived.append(born)
            self._expect(request)
            self._waiting += 1
            scheduler.submit(request, now)
        while self._next_given_up() <= now:
            self._give_up(self._callers.popleft(), now)
        if self._fires <= now:
            self._timer = self._fires = NEVER
        while (launch := scheduler.next_batch(now)) is not None:
            self._launch(launch, now)
        if self._waiting and not all(self._on_device):
            record.idle_waits += 1
        self._set_timer(scheduler.wake_at, now)
        self._free_at = now + self._machine.conditions.turn

    def _expect(self, request: Request) -> None:
        """How long its caller will wait."""
        if self._patience < NEVER:
            request.deadline = request.born + self._patience
            self._callers.append(request)

    def _launch(self, launch: Launch, now: float) -> None:
        machine = self._machine
        device = machine.lanes[launch.lane]
        scale = self._scale(launch)
        own, shared = machine.cost.own(launch.rows), machine.cost.shared(launch.rows)
        self._devices[device].add(Run(launch, launch.lane, own * scale, shared * scale), now)
        self._on_device[device] += 1
        for request in launch.requests:
            request.launched = True
        self._waiting -= len(launch.requests)
        self.record.batches.append(len(launch.requests))

    def _scale(self, launch: Launch) -> float:
        """The factor by which a batch takes longer than its nominal time."""
        conditions = self._machine.conditions
        scale = self._chance.lognormvariate(0.0, conditions.spread)
        if self._chance.random() < conditions.outliers:
            scale *= conditions.outlier
        return scale

    def _finish(self, run: Run, now: float) -> None:
        launch: Launch = run.what
        self._on_device[self._machine.lanes[launch.lane]] -= 1
        for request in launch.requests:
            if not request.over:
                request.over = True
                self.record.waits.append((request.born, now - request.born))
                self._source.answered(request.client, now)
        self.record.ended = now
        self._scheduler.finished(launch, now, run.ended - run.started)

    def _next_given_up(self) -> float:
        callers = self._callers
        while callers and callers[0].over:
            callers.popleft()
        return callers[0].deadline if callers else NEVER

    def _give_up(self, request: Request, now: float) -> None:
        request.over = True
        self.record.given_up += 1
        if not request.launched:
            self._waiting -= 1
        self._scheduler.withdraw(request, now)
        self._source.answered(request.client, now)

    def _set_timer(self, when: float, now: float) -> None:
        if when != self._timer:
            self._timer = self._fires = when
            if when < NEVER:
                late = self._chance.random() * self._machine.conditions.lateness
                self._fires = max(when, now) + late


def _next_at(device: Device) -> float:
    return device.next_at
