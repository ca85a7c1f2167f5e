"""What to measure next: a pure object that is told results and asks for the next measurement.

First one look at each configuration on the way to the best: all values of each axis in turn, then
the neighbours of the best so far, until none is better, and simpler ones for as long as they are as
good. Then the finals, in rounds. Then the curve of the one recommended. What results cost is part
of them, so the budget needs no clock, and the same results always lead to the same questions.
"""

from collections.abc import Generator, Sequence
from typing import Literal

from trtasync.measure.loads import Closed, Load
from trtasync.tune.choice import Recommendation, Standing, recommend
from trtasync.tune.probes import (
    AGAIN,
    CURVE,
    EXPLORING,
    SPAN,
    Aim,
    Outcome,
    Probe,
    Result,
    index_below,
    rate_at,
)
from trtasync.tune.space import AXES, Config, Space

FINALISTS = 4
"""Configurations in the finals."""

NEAR = 0.05
"""Share of the best first look within which simple configurations come to the finals."""

FAR = 3.0
"""Times the goal beyond which a miss is beyond doubt; a nearer one is looked at again."""

STEPS_DOWN = 4
"""By how much a finalist's rate may fall when the finals do not confirm it."""

SHARES = (0.25, 0.5, 0.75, 0.9)
"""Of the recommended configuration's throughput: the rates of its curve."""

SHARES_WITH_GOAL = (0.25, 0.5, 0.75, 0.9, 1.1)

Phase = Literal["exploring", "finals", "curve"]
SearchEnd = Literal["", "settled", "budget"]
Steps = Generator[Probe, Outcome, None]


class Search:
    """Told results, it asks for the next measurement.

    Attributes:
        results: so far.
        phase: of what `ask` returns.
        ended: "" while there is more to ask; "settled" when the search ended by itself, "budget"
            when it ran out of time.
    """

    def __init__(self, space: Space, aim: Aim, start: Config | None = None):
        """Begin with nothing measured.

        Args:
            space: what to choose from.
            aim: what to look for.
            start: where to begin; at the simplest by default.
        """
        self.results: list[Result] = []
        self.phase: Phase = "exploring"
        self.ended: SearchEnd = ""
        self._space = space
        self._aim = aim
        self._start = space.all()[0] if start is None else space.near(start)
        self._tried: set[Config] = set()
        self._cut = False
        self._steps = self._all()
        self._pending: Probe | None = next(self._steps)

    def ask(self) -> Probe | None:
        """What to measure next; None at the end. Asking again gives the same."""
        return self._pending

    def tell(self, outcome: Outcome) -> None:
        """The `outcome` of what `ask` returned."""
        assert self._pending is not None
        self.results.append(Result(self._pending, outcome))
        self._pending = next_of(self._steps, outcome)
        if self._pending is None:
            self.ended = "budget" if self._cut else "settled"

    def verdict(self) -> Recommendation:
        """On what was measured so far."""
        return recommend(self.results, self._space, self._aim)

    @property
    def spent(self) -> float:
        """Seconds that all results took."""
        return sum(each.outcome.seconds for each in self.results)

    @property
    def left(self) -> float:
        """Seconds that the rest will take, about."""
        if self._pending is None:
            return 0.0
        finals = self._aim.rounds * min(FINALISTS, max(2, len(self._tried)))
        ahead = {"exploring": 0, "finals": finals, "curve": len(SHARES) + 1}
        if self.phase == "exploring":
            wanted = sum(len(getattr(self._space, axis)) - 1 for axis in AXES) + 4
            looks = max(1, wanted - len(self._tried)) * (1 if self._aim.p99 is None else 3)
            count = looks + finals + len(SHARES) + 1
        else:
            done = sum(self._of_phase(each) for each in self.results)
            count = max(1, ahead[self.phase] - done)
            count += len(SHARES) + 1 if self.phase == "finals" else 0
        return min(count * self._cost, max(self._cost, self._aim.budget - self.spent))

    def _of_phase(self, result: Result) -> bool:
        turn = result.probe.turn
        return turn == CURVE if self.phase == "curve" else turn > EXPLORING

    @property
    def _cost(self) -> float:
        """Seconds of a measurement, on average."""
        return self.spent / len(self.results) if self.results else 1.0

    def _late(self, ahead: int) -> bool:
        """So many more measurements would go beyond the budget."""
        late = self.spent + ahead * self._cost > self._aim.budget
        self._cut |= late
        return late

    # -- the phases -------------------------------------------------------------------------------

    def _all(self) -> Steps:
        yield from self._explore()
        self.phase = "finals"
        yield from self._finals()
        self.phase = "curve"
        yield from self._curve()

    def _explore(self) -> Steps:
        yield from self._look(self._start)
        for axis in AXES:
            for config in self._space.line(self._centre(), axis):
                if config not in self._tried and not self._exhausted():
                    yield from self._look(config)
        while (fresh := self._fresh()) and not self._exhausted():
            yield from self._look(fresh[0])

    def _fresh(self) -> list[Config]:
        """What to look at next: neighbours of the best; then simpler neighbours of the simplest one
        that is as good; as long as nothing ran, anything."""
        verdict, space = self.verdict(), self._space
        if verdict.best is None:
            return self._untried(space.all())
        if around := self._untried(space.neighbours(verdict.best.config)):
            return around
        least = min((each.config for each in verdict.tied), key=space.weight)
        around = self._untried(space.neighbours(least))
        return [config for config in around if space.weight(config) < space.weight(least)]

    def _untried(self, configs: Sequence[Config]) -> list[Config]:
        return [config for config in configs if config not in self._tried]

    def _exhausted(self) -> bool:
        """Finals and curve take what is left of the budget."""
        finals = self._aim.rounds * min(FINALISTS, len(self._tried))
        return self._late(finals + len(SHARES) + 2)

    def _centre(self) -> Config:
        best = self._best()
        return self._start if best is None else best.config

    def _best(self) -> Standing | None:
        return self.verdict().best

    def _look(self, config: Config) -> Steps:
        """A first look at a configuration."""
        best = self._best()
        self._tried.add(config)
        full = yield from self._measure(config, self._aim.filling(config))
        if self._aim.p99 is not None and not full.failure:
            yield from self._climb(config, index_below(full.rate), best)

    def _climb(self, config: Config, top: int, best: Standing | None) -> Steps:
        """Find the highest rate that meets the goal; but first whether it can win at all."""
        low = top - SPAN
        if best is not None and best.score is not None:
            weight = self._space.weight
            simpler = weight(config) < weight(best.config)
            low = index_below(best.score) + (0 if simpler else 1)
            if low > top:
                return
        if not (yield from self._meets(config, low)):
            return
        high = top + 1
        while high - low > 1:
            middle = (low + high) // 2
            if (yield from self._meets(config, middle)):
                low = middle
            else:
                high = middle

    def _meets(self, config: Config, index: int) -> Generator[Probe, Outcome, bool]:
        assert self._aim.p99 is not None
        load, goal = rate_at(index), self._aim.p99
        outcome = yield from self._measure(config, load)
        if not outcome.failure and goal < outcome.p99 <= FAR * goal:
            outcome = yield from self._measure(config, load, AGAIN)
        return not outcome.failure and outcome.p99 <= goal

    def _finals(self) -> Steps:
        beaten: set[Config] = set()
        while finalists := self._finalists(beaten):
            if self._aim.p99 is None:
                loads: dict[Config, Load] = {c: self._aim.filling(c) for c in finalists}
                yield from self._rounds(loads)
            else:
                yield from self._confirm(finalists)
            beaten.update(finalists)
            best = self._best()
            if self._cut or (best is not None and best.repeated):
                return

    def _finalists(self, beaten: set[Config]) -> list[Config]:
        """The best two, and the simplest of those near the best."""
        scored = [
            (each.score, each.config)
            for each in self.verdict().standings
            if each.score is not None and each.config not in beaten
        ]
        if not scored:
            return []
        near = [config for score, config in scored if score >= (1 - NEAR) * scored[0][0]]
        simple = sorted(near, key=self._space.weight)
        leading = [config for _, config in scored[:2]]
        return list(dict.fromkeys(leading + simple))[:FINALISTS]

    def _rounds(self, loads: dict[Config, Load]) -> Steps:
        """Every load once a round, forwards and backwards in turn: drift hits all alike."""
        failed: set[Config] = set()
        for turn in range(1, self._aim.rounds + 1):
            if self._late(len(loads)):
                return
            for config in list(loads)[:: 1 if turn % 2 else -1]:
                if config not in failed:
                    outcome = yield from self._measure(config, loads[config], turn)
                    if outcome.failure:
                        failed.add(config)

    def _confirm(self, finalists: Sequence[Config]) -> Steps:
        """Measure each finalist at its rate; those that miss the goal there, one step lower."""
        scores = {each.config: each.score for each in self.verdict().standings}
        at = {config: index_below(scores[config] or 0.0) for config in finalists}
        for _ in range(STEPS_DOWN + 1):
            before = len(self.results)
            yield from self._rounds({config: rate_at(index) for config, index in at.items()})
            if len(self.results) == before:
                return
            standings = {each.config: each for each in self.verdict().standings}
            at = {
                config: index - 1
                for config, index in at.items()
                if not standings[config].failure
                and (standings[config].score or 0.0) < rate_at(index).rate
            }

    def _curve(self) -> Steps:
        chosen = self.verdict().recommended
        if chosen is None or chosen.score is None:
            return
        shares = SHARES if self._aim.p99 is None else SHARES_WITH_GOAL
        rates = [rate_at(index_below(share * chosen.score)) for share in shares]
        known = {each.probe.load for each in self.results if each.probe.config == chosen.config}
        loads: list[Load] = [Closed(1), *rates]
        for load in dict.fromkeys(loads):
            if load not in known and not self._late(1):
                yield from self._measure(chosen.config, load, CURVE)

    def _measure(
        self, config: Config, load: Load, turn: int = EXPLORING
    ) -> Generator[Probe, Outcome, Outcome]:
        return (yield Probe(config, load, turn))


def next_of(steps: Steps, outcome: Outcome) -> Probe | None:
    """What a generator asks for next; None at its end."""
    try:
        return steps.send(outcome)
    except StopIteration:
        return None
