"""Several models to a replica: an engine in use is never closed under a request."""

from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row, same, until
from tests.ray.conftest import Run
from tests.ray.models import doubling
from trtasync import Engine, InvalidInput
from trtasync.integrations.ray_serve import Client, ManyModels, multiplexed

EVICTIONS = 1000


class Churning(ManyModels):
    """Remembers the engines that it opened."""

    def __init__(self) -> None:
        """None yet."""
        super().__init__()
        self.opened: list[Engine] = []

    async def open(self, model: str) -> Engine:
        """See `ManyModels.open`."""
        engine = await super().open(model)
        self.opened.append(engine)
        return engine

    async def churn(self, times: int) -> tuple[list[str], int]:
        """Ask two models by turns where only one may be open; (errors, engines opened)."""
        errors: list[str] = []

        async def ask(model: str) -> None:
            try:
                await self.infer_on(model, row(1))
            except Exception as error:
                errors.append(repr(error))

        while len(self.opened) < times:
            async with anyio.create_task_group() as tasks:
                for model in ("a", "b", "a"):
                    tasks.start_soon(ask, model)
        return errors, len(self.opened)

    async def still_open(self) -> int:
        """Engines that are neither closed nor asked for any more; waits for those being closed."""
        await until(lambda: not self.closing)
        return sum("closed" not in repr(engine) for engine in self.opened)


def several(**options: Any) -> Any:
    """A deployment of the models "a" and "b", of which one is open at a time."""
    models = {"a": doubling(), "b": doubling()}
    return multiplexed(models, most=1, num_gpus=0, replica=Churning, **options)


def test_models_are_asked_by_their_ids(run: Run, portal: BlockingPortal) -> None:
    client = Client(run(several()))

    async def ask(model: str) -> Any:
        return await client.infer(row(1), model=model)

    assert same(portal.call(ask, "a"), row(2))
    assert same(portal.call(ask, "b"), row(2))
    with pytest.raises(InvalidInput, match="say which"):
        portal.call(ask, "")


def test_engines_evicted_while_in_use_are_closed_in_the_end(
    run: Run, portal: BlockingPortal
) -> None:
    handle = run(several())

    async def churn() -> Any:
        return await handle.churn.remote(EVICTIONS), await handle.still_open.remote()

    (errors, opened), still_open = portal.call(churn)
    assert errors == []
    assert opened >= EVICTIONS
    assert still_open == 1
