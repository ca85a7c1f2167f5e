"""A survey of all models of a server, for metrics and the dashboard."""

from contextlib import suppress
from typing import NamedTuple

from trtasync.core.metrics import Statistics
from trtasync.errors import TrtasyncError
from trtasync.rows.verdicts import Judgement
from trtasync.server.counting import statistics_of
from trtasync.server.deployments import Model, State
from trtasync.server.models import Models


class Surveyed(NamedTuple):
    """One version of a model.

    Attributes:
        name: of the model.
        version: as text.
        state: of the version.
        reason: why it is in this state, if something went wrong; otherwise "".
        statistics: of its engine; None if it has none, or one in a process that does not answer.
        batching: whether its requests share batches; None if it has no engine.
    """

    name: str
    version: str
    state: State
    reason: str
    statistics: Statistics | None
    batching: Judgement | None

    @property
    def computes(self) -> bool:
        """Whether it is ready and one of its streams is alive."""
        return self.statistics is not None and any(each.alive for each in self.statistics.streams)


async def survey(models: Models) -> list[Surveyed]:
    """Look at the models, one after the other."""
    return [await _look_at(model) for model in models]


async def _look_at(model: Model) -> Surveyed:
    state, reason = model.state, model.reason
    statistics = batching = None
    if state is State.READY:
        engine = model.deployment.engine
        batching = engine.batching
        with suppress(TrtasyncError):  # the process of a shared engine may be gone
            statistics = await statistics_of(engine)
    return Surveyed(model.name, model.version, state, reason, statistics, batching)
