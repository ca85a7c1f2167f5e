"""Models by name and version: opened, replaced under load, closed."""

from typing import Any

import anyio
import pytest

from support.helpers import PATIENCE, rows, tensor, until
from tests.server.serving import models_of, opener
from trtasync import open_engine
from trtasync.errors import EngineClosed, InvalidInput, PlanError
from trtasync.server.deployments import State
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["", "stats", ".", "..", "a/b", "a b", "é", "a?b", "a%2f", "a\n"])
def test_names_that_a_path_would_not_carry(name: str) -> None:
    models = Models()
    with pytest.raises(InvalidInput, match="cannot be named"):
        models.add(name, opener(ScriptedBackend()))
    models.add("good", opener(ScriptedBackend()))
    with pytest.raises(InvalidInput, match="cannot be named"):
        models.alias(name, "good")


@pytest.mark.parametrize("version", [0, -1, 10**18])
def test_versions_that_are_none(version: int) -> None:
    with pytest.raises(InvalidInput, match="version"):
        Models().add("m", opener(ScriptedBackend()), version=version)


def test_every_name_means_one_thing() -> None:
    models = models_of(ScriptedBackend())
    with pytest.raises(InvalidInput, match="version 1 already"):
        models.add("m", opener(ScriptedBackend()))
    models.alias("other", "m")
    for name, version in (("z", None), ("m", 2), ("other", None)):
        with pytest.raises(InvalidInput, match="no such model"):
            models.alias("third", name, version)
    with pytest.raises(InvalidInput, match="name of a model"):
        models.alias("m", "m")
    with pytest.raises(InvalidInput, match="is an alias"):
        models.add("other", opener(ScriptedBackend()))


async def test_an_alias_can_be_moved() -> None:
    models = models_of(ScriptedBackend())
    models.add("n", opener(ScriptedBackend()))
    models.alias("current", "m")
    assert models.find("current").name == "m"
    models.alias("current", "n")
    assert models.find("current").name == "n"


async def test_nothing_is_ready_before_and_after() -> None:
    models = models_of(ScriptedBackend())
    model = models.find("m")
    assert not models.are_ready
    with pytest.raises(Refusal, match=r"m' version 1 is UNAVAILABLE: not loaded yet\.") as refused:
        models.deployed("m")
    assert refused.value.status == 503
    async with models:
        assert models.are_ready
        assert model.state is State.READY
        engine = models.deployed("m").engine
    assert not models.are_ready
    with pytest.raises(Refusal, match="unloaded"):
        models.deployed("m")
    with pytest.raises(EngineClosed):
        await engine.infer({"x": rows([1])})
    async with models:  # again
        assert models.are_ready


async def test_a_model_that_is_added_to_others_is_not_missed_before_it_answers() -> None:
    """Nor while it is opened, which may take minutes, nor if that fails."""
    models, may_open = models_of(ScriptedBackend()), anyio.Event()

    async def opened() -> Any:
        await may_open.wait()
        return await open_engine(ScriptedBackend())

    async def failing() -> Any:
        raise PlanError("damaged")

    async with models, anyio.create_task_group() as tasks:
        with pytest.raises(PlanError):
            await models.add("m", failing, version=2).load()
        added = models.add("n", opened)
        tasks.start_soon(added.load)
        await until(lambda: added.state is State.LOADING)
        assert models.are_ready
        may_open.set()
        await until(lambda: added.is_ready)
        assert models.are_ready
        await added.unload()
        assert not models.are_ready


async def test_one_model_that_cannot_be_opened_closes_the_others() -> None:
    backend = ScriptedBackend()
    models = models_of(backend)

    async def opened() -> Any:
        raise PlanError("no such file")

    models.add("z", opened)
    with pytest.raises(PlanError):
        async with models:
            raise AssertionError
    assert backend.closed == 1
    assert models.find("z").state is State.UNAVAILABLE


async def test_a_model_that_the_protocol_has_no_words_for_is_not_left_open() -> None:
    odd = ScriptedBackend(inputs=[tensor("x", "N", 4, dtype="complex64")])
    with pytest.raises(PlanError, match="no datatype complex64"):
        async with models_of(odd):
            raise AssertionError
    assert odd.closed == 1


async def test_a_model_is_replaced_without_losing_a_request() -> None:
    """What was taken before the change is answered by what took it."""
    backends = [ScriptedBackend(lambda x: x), ScriptedBackend(lambda x: 2 * x)]
    first, second = backends
    models = Models()
    model = models.add("m", lambda: open_engine(backends.pop(0), loop_budget=0.0))
    answers: list[float] = []

    async def ask() -> None:
        answers.append((await models.deployed("m").engine.infer({"x": rows([1])}))["y"][0, 0])

    async with models, anyio.create_task_group() as tasks:
        first.gate.shut()
        before = models.deployed("m").engine
        tasks.start_soon(ask)
        await until(lambda: before.statistics().in_flight == 1)
        tasks.start_soon(model.load)
        await until(lambda: models.deployed("m").engine is not before)
        assert models.are_ready
        await ask()
        assert answers == [2]
        first.gate.let()
    assert answers == [2, 1]
    assert first.closed == second.closed == 1


@pytest.mark.parametrize("ending", ["load", "unload"])
async def test_who_knows_an_engine_reaches_it_before_it_is_closed(ending: str) -> None:
    """A task that was begun before the change asks after it."""
    backends = [ScriptedBackend(lambda x: x), ScriptedBackend(lambda x: 2 * x)]
    first = backends[0]
    models = Models()
    model = models.add("m", lambda: open_engine(backends.pop(0), loop_budget=0.0))
    async with models, anyio.create_task_group() as tasks:
        before = model.deployment
        with before.users:
            with before.users:
                tasks.start_soon(getattr(model, ending))
                await until(lambda: model._deployment is not before)
            await anyio.wait_all_tasks_blocked()
            assert (await before.engine.infer({"x": rows([1])}))["y"][0, 0] == 1
        await until(lambda: first.closed == 1)


async def test_unloading_that_is_cancelled_waits_for_nobody() -> None:
    backend = ScriptedBackend()
    models = models_of(backend)
    model = models.find("m")
    await model.load()
    with model.deployment.users, anyio.CancelScope() as scope:
        scope.cancel()
        await model.unload()
    assert backend.closed == 1


async def test_a_replacement_that_fails_changes_nothing() -> None:
    backend = ScriptedBackend()
    faults: list[Exception] = []
    models = Models()

    async def opened() -> Any:
        if faults:
            raise faults[0]
        return await open_engine(backend)

    model = models.add("m", opened)
    async with models:
        engine = models.deployed("m").engine
        faults.append(PlanError("damaged"))
        with pytest.raises(PlanError):
            await model.load()
        assert models.are_ready
        assert (model.state, model.reason) == (State.READY, "damaged")
        assert models.deployed("m").engine is engine
        faults.clear()
        await model.load()
        assert (model.state, model.reason) == (State.READY, "")


async def test_unloading_gives_up_a_loading() -> None:
    begun = anyio.Event()
    models = Models()

    async def never() -> Any:
        begun.set()
        await anyio.sleep_forever()

    model = models.add("m", never)
    refused: list[Refusal] = []

    async def load() -> None:
        try:
            await model.load()
        except Refusal as error:
            refused.append(error)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load)
            await begun.wait()
            assert model.state is State.LOADING
            await model.unload()
    assert "unloaded while it was loading" in str(refused[0])
    assert (model.state, model.reason) == (State.UNAVAILABLE, "unloaded")


async def test_unloading_waits_for_what_was_taken() -> None:
    backend = ScriptedBackend()
    models = models_of(backend)
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await models.deployed("m").engine.infer({"x": rows([1])}))

    async with models, anyio.create_task_group() as tasks:
        model, engine = models.find("m"), models.deployed("m").engine
        backend.gate.shut()
        tasks.start_soon(ask)
        await until(lambda: engine.statistics().in_flight == 1)
        tasks.start_soon(model.unload)
        await until(lambda: model.state is State.UNLOADING)
        with pytest.raises(Refusal, match="is UNLOADING"):
            models.deployed("m")
        assert not answers
        backend.gate.let()
    assert len(answers) == 1
    assert backend.closed == 1


async def test_unloading_that_is_cancelled_closes_all_the_same() -> None:
    backend = ScriptedBackend()
    models = models_of(backend)
    model = models.find("m")
    await model.load()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await model.unload()
    assert backend.closed == 1
    assert model.state is State.UNAVAILABLE
