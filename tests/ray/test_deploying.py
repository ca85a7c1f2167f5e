"""What a deployment is told before there is any replica."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from anyio.from_thread import BlockingPortal
from ray.serve.schema import ServeDeploySchema

from support.helpers import row, same
from tests.documents.running import ROOT
from tests.ray.models import doubling
from trtasync import InvalidInput
from trtasync.integrations.ray_serve import Replica, application, deployment, multiplexed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_batchsize": 8}, "an argument 'max_batchsize'"),
        ({"shared": True}, "an argument 'shared'"),
        ({"max_batch_size": 0}, "max_batch_size must be a whole number of at least 1"),
        ({"max_queue_size": "many"}, "max_queue_size must be"),
        ({"stalled_after": 0.0}, "stalled_after must be more than 0 s"),
        ({"run_timeout": 60.0}, "stalled_after must be more than 60 s, not 30.0"),
        ({"max_queue_delay": 40.0}, "stalled_after must be more than 40 s"),
        ({"num_replicas": "auto"}, "num_replicas must be a number, or .least, most."),
    ],
)
def test_what_makes_no_sense_is_refused_before_ray_is_told(
    options: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidInput, match=text):
        deployment(doubling(), num_gpus=0, **options)
    with pytest.raises(InvalidInput, match=text):
        multiplexed({}, num_gpus=0, **options)
    with pytest.raises(InvalidInput, match=text):
        application({"model": "a.onnx", "num_gpus": "0", **options})


def test_a_replica_without_models_is_refused() -> None:
    with pytest.raises(InvalidInput, match="most must be at least 1"):
        multiplexed({}, most=0, num_gpus=0)


@pytest.mark.parametrize(("devices", "gpus"), [(None, 1), ([0], 1), ([0, 1], 2)])
def test_a_replica_has_the_gpus_that_its_engine_uses(devices: Any, gpus: int) -> None:
    told = deployment("a.onnx", backend="tensorrt", devices=devices)
    assert told.ray_actor_options["num_gpus"] == gpus


@pytest.mark.parametrize("devices", [None, [0, 1]])
def test_gpus_that_ray_knows_of_are_taken(cluster: None, devices: Any) -> None:
    told = deployment("a.onnx", devices=devices)
    assert told.ray_actor_options["num_gpus"] == len(devices or [0])


@pytest.mark.parametrize("initialized", [False, True])
def test_where_ray_knows_of_no_gpu_it_is_not_guessed_whether_one_will_come(
    monkeypatch: pytest.MonkeyPatch, initialized: bool
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: initialized)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0})
    for make in (partial(deployment, doubling()), partial(multiplexed, {})):
        with pytest.raises(InvalidInput, match=r"say num_gpus=1, .* or num_gpus=0"):
            make()
        assert "num_gpus" not in make(backend="onnxruntime").ray_actor_options
        assert make(num_gpus=1).ray_actor_options["num_gpus"] == 1


def test_a_subclass_that_would_not_open_its_engine_is_refused() -> None:
    class Plain(Replica):
        def __init__(self) -> None:
            """Forgets that there is something to await."""

    with pytest.raises(InvalidInput, match="must be `async def`"):
        deployment(doubling(), num_gpus=0, replica=Plain)


def test_a_replica_closes_its_engine(portal: BlockingPortal) -> None:
    replica = deployment(doubling(), num_gpus=0, http=False).func_or_class

    async def live() -> tuple[Any, str]:
        living = replica.__new__(replica)
        await living.__init__()  # as Ray does
        answer = await living.infer(row(1))
        await living.check_health()
        await living.__del__()
        return answer, repr(living.engine)

    answer, engine = portal.call(live)
    assert same(answer, row(2))
    assert "closed" in engine


def _configurations() -> Iterator[Any]:
    """Those of Serve that this repository has."""
    yield yaml.safe_load((ROOT / "examples/ray_serve.yaml").read_text())
    service = next(yaml.safe_load_all((ROOT / "deploy/ray/service.yaml").read_text()))
    yield yaml.safe_load(service["spec"]["serveConfigV2"])


@pytest.mark.parametrize("told", _configurations())
def test_configurations_are_what_ray_and_the_application_take(told: Any) -> None:
    read = ServeDeploySchema.model_validate(told)
    (configured,) = read.applications

    assert read.model_dump(mode="json", exclude_unset=True) == told  # what it knows not, it drops
    args = {"num_gpus": 0, **configured.args}
    bound = application(args)._bound_deployment

    assert configured.import_path == f"{application.__module__.rpartition('.')[0]}:application"
    assert bound.name == Path(args["model"]).stem
