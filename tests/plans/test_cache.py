"""Which builds share a plan, and which do not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed
from support.helpers import same
from tests.genuine.machines import Machine
from tests.plans.support import (
    ELEVEN,
    GATHER,
    TEN,
    answer_of,
    contents,
    facts_changed,
    matrix,
    note_of,
    scaled,
    unfinished,
    write_matmul,
)
from trtasync import BuilderConfig, InvalidInput, build_plan
from trtasync.plans import Plan

pytestmark = pytest.mark.anyio

ROW = np.arange(4, dtype=np.float32)


async def test_the_second_build_is_taken_from_the_cache(machine: Machine, tmp_path: Path) -> None:
    first, second = [await build_plan(GATHER, cache=tmp_path) for _ in range(2)]
    assert (first.cached, second.cached) == (False, True)
    assert (first.path, first.key, first.seconds) == (second.path, second.key, second.seconds)
    assert machine.builds.started == 1


async def test_a_copy_of_the_model_elsewhere_is_the_same_model(
    machine: Machine, tmp_path: Path
) -> None:
    copy = tmp_path / "other.onnx"
    copy.write_bytes(GATHER.read_bytes())
    await build_plan(GATHER)
    assert (await build_plan(copy)).cached


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "profiles": ("profiles", {"profiles": "x:1x4/2x4/8x4"}),
    "another profile": ("profiles", {"profiles": ["x:1x4/2x4/8x4", "x:9x4/9x4/9x4"]}),
    "max_batch_size": ("max_batch_size", {"max_batch_size": 8}),
    "config": ("config", {"builder_config": BuilderConfig(tf32=False)}),
    "cache_key": ("model", {"cache_key": "mine"}),
}


@pytest.mark.parametrize(("fact", "options"), OPTIONS.values(), ids=OPTIONS.keys())
async def test_what_was_asked_for_makes_another_plan(
    machine: Machine, tmp_path: Path, fact: str, options: dict[str, Any]
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix())
    plain, other = await build_plan(model), await build_plan(model, **options)
    assert not other.cached
    assert facts_changed(note_of(plain.path)["facts"], note_of(other.path)["facts"]) == {fact}
    assert (await build_plan(model)).cached
    assert (await build_plan(model, **options)).cached


MACHINES: dict[str, tuple[str, dict[str, Any]]] = {
    "TensorRT": ("tensorrt", {"version": TEN}),
    "GPU": ("gpu", {"gpu": "Another GPU"}),
    "capability": ("capability", {"capability": (8, 9)}),
    "driver": ("driver", {"driver": 13010}),
}


@pytest.mark.parametrize(("fact", "machine"), MACHINES.values(), ids=MACHINES.keys())
async def test_another_machine_gets_another_plan(
    tmp_path: Path, fact: str, machine: dict[str, Any]
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix())

    async def build(**machine: Any) -> Plan:
        with doubles.install(**machine):
            return await build_plan(model)

    plain, other = await build(version=ELEVEN), await build(**machine)
    assert not other.cached
    assert facts_changed(note_of(plain.path)["facts"], note_of(other.path)["facts"]) == {fact}
    assert (await build(version=ELEVEN)).cached
    assert (await build(**machine)).cached


def _bytes_of_its_weights(folder: Path) -> None:
    weights = bytearray((folder / "m.weights").read_bytes())
    weights[3] ^= 1
    (folder / "m.weights").write_bytes(weights)


def _the_files_graph_alone(folder: Path) -> None:
    write_matmul(folder / "m.onnx", matrix(), external="m.weights", name="another name")


@pytest.mark.parametrize(
    "change", [_bytes_of_its_weights, _the_files_graph_alone], ids=lambda each: each.__name__
)
async def test_a_changed_file_makes_another_plan(
    machine: Machine, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix(), external="m.weights")
    plain = await build_plan(model)
    change(tmp_path)
    changed = await build_plan(model)
    assert not changed.cached
    assert facts_changed(note_of(plain.path)["facts"], note_of(changed.path)["facts"]) == {"model"}


async def test_changed_weights_give_changed_answers(gpu: Installed, tmp_path: Path) -> None:
    for seed in range(3):
        model = write_matmul(tmp_path / "m.onnx", matrix(seed), external="m.weights")
        assert same(await answer_of(model, ROW, cache=tmp_path / "cache"), ROW @ matrix(seed))


# -- what a key is made of ------------------------------------------------------------------------


async def test_a_function_is_kept_under_the_name_it_is_given(
    machine: Machine, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"cache": tmp_path, "cache_key": "twice"}
    first = await build_plan(scaled(machine.trt), **options)
    assert (await build_plan(scaled(machine.trt), **options)).path == first.path
    assert not (
        await build_plan(scaled(machine.trt, 3), **options | {"cache_key": "thrice"})
    ).cached
    assert machine.builds.started == 2


async def test_a_function_without_a_name_is_built_every_time(
    gpu: Installed, tmp_path: Path
) -> None:
    for factor in (2, 3):
        plan = await build_plan(
            scaled(gpu.trt, factor), output=tmp_path / "m.plan", max_batch_size=4
        )
        assert (plan.cached, plan.key) == (False, "")
        assert same(await answer_of(plan, ROW), ROW * np.float32(factor))


async def test_a_function_and_a_file_of_the_same_cache_key_are_two(
    machine: Machine, tmp_path: Path
) -> None:
    await build_plan(GATHER, cache_key="same")
    assert not (await build_plan(scaled(machine.trt), cache_key="same")).cached


async def test_whoever_keeps_nothing_must_say_where_the_plan_goes(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match=r"no place for the plan: without a cache.*\(output\)"):
        await build_plan(GATHER, cache=False)
    with pytest.raises(InvalidInput, match=r"\(output\), or .* \(cache_key\)"):
        await build_plan(scaled(machine.trt))
    assert machine.builds.started == 0


# -- where it lies --------------------------------------------------------------------------------


async def test_the_environment_names_the_users_folder(
    machine: Machine, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (await build_plan(GATHER)).path.parent == own_cache / "plans"
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "other"))
    assert (await build_plan(GATHER)).path.parent == tmp_path / "other" / "plans"


async def test_without_it_it_is_where_the_system_keeps_caches(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TRTASYNC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = await build_plan(GATHER)
    assert plan.path.is_relative_to(tmp_path)
    assert "trtasync" in plan.path.parts


async def test_a_given_folder_is_taken_before_the_environment(
    machine: Machine, own_cache: Path, tmp_path: Path
) -> None:
    assert (await build_plan(GATHER, cache=tmp_path)).path.parent == tmp_path / "plans"
    assert contents(own_cache) == {}


async def test_an_output_is_a_copy_of_what_is_kept(machine: Machine, tmp_path: Path) -> None:
    outputs = [tmp_path / "one" / "a.plan", tmp_path / "two" / "b.plan"]
    plans = [await build_plan(GATHER, cache=tmp_path / "c", output=path) for path in outputs]
    assert [plan.path for plan in plans] == outputs
    assert [plan.cached for plan in plans] == [False, True]
    (kept,) = (tmp_path / "c" / "plans").glob("*.plan")
    assert {path.read_bytes() for path in outputs} == {kept.read_bytes()}
    assert unfinished(tmp_path) == []


def already(path: Path, content: bytes) -> Path:
    """A file that is there."""
    path.write_bytes(content)
    return path


async def test_an_output_replaces_what_was_there(machine: Machine, tmp_path: Path) -> None:
    output = already(tmp_path / "m.plan", b"x" * 1_000_000)
    await build_plan(GATHER, cache=False, output=output)
    first = output.read_bytes()
    await build_plan(GATHER, output=output)
    assert output.read_bytes() == first
