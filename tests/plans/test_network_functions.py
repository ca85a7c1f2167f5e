"""What a network function is given, and whose words are told where it fails."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.genuine.machines import Machine
from tests.plans.support import identity, words
from trtasync import BuildError, build_plan
from trtasync.plans import Phases

pytestmark = pytest.mark.anyio


async def refused(define: Callable[..., Any], folder: Path) -> str:
    """The words with which it is refused."""
    with pytest.raises(BuildError) as caught:
        await build_plan(define, cache=False, output=folder / "m.plan")
    return str(caught.value)


def by_name(given: list[Any]) -> Callable[..., Any]:
    def define(network: Any, trt: Any) -> None:
        given.append(trt)
        identity(trt)(network)

    return define


def by_position(given: list[Any]) -> Callable[..., Any]:
    def define(network: Any, trt: Any, /) -> None:
        given.append(trt)
        identity(trt)(network)

    return define


def by_keyword(given: list[Any]) -> Callable[..., Any]:
    def define(network: Any, *, more: int = 1, trt: Any = None) -> None:
        given.append(trt)
        identity(trt)(network)

    return define


def by_the_rest(given: list[Any]) -> Callable[..., Any]:
    def define(network: Any, *trt: Any) -> None:
        given.extend(trt)
        identity(*trt)(network)

    return define


@pytest.mark.parametrize("made", [by_name, by_position, by_keyword, by_the_rest])
async def test_a_parameter_called_trt_gets_the_module_however_it_is_declared(
    machine: Machine, tmp_path: Path, made: Callable[[list[Any]], Callable[..., Any]]
) -> None:
    given: list[Any] = []
    await build_plan(made(given), cache=False, output=tmp_path / "m.plan")
    assert given == [machine.trt]


async def test_an_error_that_is_none_of_tensorrts_is_told_without_it(
    machine: Machine, tmp_path: Path
) -> None:
    def define(network: object) -> None:
        raise ValueError("no weights here\nnor there")

    text = await refused(define, tmp_path)
    assert text == "the network function define failed: ValueError: no weights here nor there."


def complain(network: Any) -> None:
    """Have TensorRT say something at level ERROR, and give None."""
    assert network.get_input(9) is None


@pytest.mark.parametrize("fails", [True, False])
async def test_what_tensorrt_says_to_another_thread_is_not_told_as_said_to_this_one(
    machine: Machine, tmp_path: Path, fails: bool
) -> None:
    """Where somebody else builds meanwhile."""

    def define(network: Any, trt: Any) -> None:
        builder = Phases().builder()
        beside = threading.Thread(target=complain, args=(builder.create_network(1),))
        beside.start()
        beside.join()
        if fails:
            raise KeyError("conv1")
        identity(trt)(network)

    if fails:
        text = await refused(define, tmp_path)
        assert text == "the network function define failed: KeyError: 'conv1'."
    else:
        await build_plan(define, cache=False, output=tmp_path / "m.plan")


async def test_what_it_says_to_this_one_is_told(machine: Machine, tmp_path: Path) -> None:
    def define(network: object) -> None:
        complain(network)
        raise KeyError("conv1")

    words(await refused(define, tmp_path), "'conv1'. TensorRT said: ", "getInput")
