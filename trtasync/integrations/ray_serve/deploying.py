"""Deployments: what Ray is told of an engine's replicas."""

import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import ray
from ray import cloudpickle, serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig

from trtasync.errors import InvalidInput
from trtasync.integrations.ray_serve.failures import sendable
from trtasync.integrations.ray_serve.limits import ongoing_requests
from trtasync.integrations.ray_serve.many import ManyModels
from trtasync.integrations.ray_serve.replica import Replica
from trtasync.opening.api import open_engine
from trtasync.opening.arguments import EngineArguments, Model

HOME = "trtasync.integrations.ray_serve"

STALLED_AFTER = 30.0

HEALTH_PERIOD, HEALTH_TIMEOUT = 1.0, 2.0
"""Seconds. Ray gives a replica up after three checks in a row that fail or do not return."""


def deployment(
    model: Model,
    *,
    num_replicas: int | tuple[int, int] = 1,
    num_gpus: float | None = None,
    replica: type[Replica] = Replica,
    stalled_after: float = STALLED_AFTER,
    http: bool = True,
    **engine_options: Unpack[EngineArguments],
) -> Any:
    """A deployment of one engine to a replica: `serve.run(deployment("model.onnx").bind())`.

    Whatever else Ray can be told goes by `.options(...)` of the result.

    Args:
        model: as `open_engine` takes it. A path is one of the replica's machine.
        num_replicas: how many; (least, most) to have as many as the load takes.
        num_gpus: of a replica. None (default): as many as `devices` has, else 1, and 0 for
            `backend="onnxruntime"`. With `backend="auto"` it must be said where Ray knows of no
            GPU: before `ray.init`, or as long as none of the cluster's nodes has one.
        replica: a subclass, to prepare requests and finish answers.
        stalled_after: seconds within which some batch has to end while there is work; after that
            Ray puts another replica in the place of this one. More than `max_queue_delay` and
            `run_timeout`.
        http: False where another deployment of the application answers HTTP, and this one is asked
            by its handle: Ray allows one of them.
        engine_options: as `open_engine` takes them.

    Raises:
        InvalidInput: `num_gpus` must be given, or an argument makes no sense.
    """
    options = _checked(engine_options, stalled_after)
    if not inspect.iscoroutinefunction(replica.__init__):
        raise InvalidInput(
            f"{replica.__name__}.__init__ must be `async def` and await super().__init__(), which "
            "opens the engine.",
            name="replica",
        )
    bound = _bound(replica, {"model": model, "options": options, "stalled_after": stalled_after})
    if http:
        bound = serve.ingress()(bound)
    return serve.deployment(
        name=str(engine_options.get("name") or _name(model) or replica.__name__),
        **_settings(options, num_replicas, num_gpus),
    )(bound)


def multiplexed(
    models: Mapping[str, Model] | Callable[[str], Model],
    *,
    most: int = 3,
    num_replicas: int = 1,
    num_gpus: float | None = None,
    replica: type[ManyModels] = ManyModels,
    stalled_after: float = STALLED_AFTER,
    **engine_options: Unpack[EngineArguments],
) -> Any:
    """A deployment whose replicas have several models each, opened when they are asked for.

    By handles only: Ray tells a replica of a model that is asked for in a header of its own.

    Args:
        models: by id, or what gives the model of an id. An id that a mapping has not is refused
            before another model has to make room.
        most: that a replica has open at a time. An engine in use is never closed: an opening
            waits for it.
        num_replicas: how many. Ray's own scaling, by ongoing requests, goes by `.options(...)`.
        num_gpus: see `deployment`.
        replica: a subclass of `ManyModels`.
        stalled_after: see `deployment`; of every engine.
        engine_options: of every model.

    Raises:
        InvalidInput: `num_gpus` must be given, or an argument makes no sense.
    """
    options = _checked(engine_options, stalled_after)
    if most < 1:
        raise InvalidInput(f"most must be at least 1, not {most!r}.", name="most")
    if hasattr(replica, "__del__"):
        raise InvalidInput(
            f"{replica.__name__} has `__del__`; close things in `aclose`, which Ray awaits: "
            "`async def aclose(self)`, with `await super().aclose()`. (A class under "
            "`serve.ingress` has one, too: several models are asked by handles only.)",
            name="replica",
        )
    find, known = (models, None) if callable(models) else (models.__getitem__, frozenset(models))
    load = serve.multiplexed(max_num_models_per_replica=most)(replica.load)
    fields = {
        "find": staticmethod(find),
        "known": known,
        "options": options,
        "stalled_after": stalled_after,
    }
    bound = _bound(replica, {**fields, "load": load})
    settings = _settings(options, num_replicas, num_gpus)
    settings["max_ongoing_requests"] *= most
    return serve.deployment(**settings)(bound)


def application(args: Mapping[str, Any]) -> Any:
    """What `serve run` and serve.yaml can name, with the arguments of `deployment`.

    serve run trtasync.integrations.ray_serve:application model=digits.onnx num_gpus=0

    Args:
        args: `model`, and others of `deployment`; those that come as text are read as JSON.

    Raises:
        InvalidInput: there is no `model`.
    """
    given: dict[str, Any] = {name: _read(name, value) for name, value in args.items()}
    if "model" not in given:
        raise InvalidInput("say which model: model=PATH, or `args: {model: PATH}` in serve.yaml.")
    if isinstance(given.get("num_replicas"), list):
        given["num_replicas"] = tuple(given["num_replicas"])
    return deployment(given.pop("model"), **given).bind()


def _bound(replica: type[Replica | ManyModels], fields: Mapping[str, Any]) -> type[Any]:
    """A class of its own for a deployment: Ray sends it, by value, to its replicas."""
    about = {"__module__": replica.__module__, "__doc__": replica.__doc__}

    async def infer(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return await replica.infer(self, *arguments, **named)
        except Exception as error:  # of a subclass: whatever it likes
            if (told := sendable(error, _send)) is error:
                raise
            raise told from error

    return type(replica.__name__, (replica,), {**about, **fields, "infer": infer})


def _send(error: Exception) -> None:
    cloudpickle.loads(cloudpickle.dumps(error))


def _checked(options: Mapping[str, Any], stalled_after: float) -> dict[str, Any]:
    """The options, of which Ray would tell only in a replica's status that they make no sense."""
    if unknown := options.keys() - EngineArguments.__annotations__.keys():
        raise InvalidInput(
            f"neither a deployment nor open_engine has an argument {min(unknown)!r} here.",
            name=min(unknown),
        )
    open_engine("", **options)  # which opens nothing yet
    slow = max(options.get("max_queue_delay", 0.0), options.get("run_timeout") or 0.0)
    if not stalled_after > slow:
        raise InvalidInput(
            f"stalled_after must be more than {slow:g} s, not {stalled_after!r}; until then an "
            "engine may wait by max_queue_delay, or run by run_timeout.",
            name="stalled_after",
        )
    return dict(options)


def _settings(
    options: Mapping[str, Any], num_replicas: int | tuple[int, int], num_gpus: float | None
) -> dict[str, Any]:
    gpus = _gpus(options) if num_gpus is None else num_gpus
    return {
        "max_ongoing_requests": ongoing_requests(options),
        "ray_actor_options": {"num_gpus": gpus} if gpus else {},
        "health_check_period_s": HEALTH_PERIOD,
        "health_check_timeout_s": HEALTH_TIMEOUT,
        "request_router_config": _router(),
        **_replicas(num_replicas),
    }


def _router() -> Any:
    """HAProxy deals requests out by its own rule, and Ray refuses any other one beside it."""
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":
        return RequestRouterConfig()
    return RequestRouterConfig(
        request_router_class=f"{HOME}.routing:CapacityRouter", request_routing_stats_period_s=1
    )


def _replicas(number: int | tuple[int, int]) -> dict[str, Any]:
    wanted: Any = number
    if isinstance(wanted, int):
        return {"num_replicas": wanted}
    if not isinstance(wanted, tuple) or len(wanted) != 2:
        raise InvalidInput(
            f"num_replicas must be a number, or (least, most), not {wanted!r}.", name="num_replicas"
        )
    least, most = wanted
    policy = AutoscalingPolicy(policy_function=f"{HOME}.scaling:by_load")
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=least, max_replicas=most, metrics_interval_s=1, policy=policy
        )
    }


def _gpus(options: Mapping[str, Any]) -> float:
    """How many a replica should have; refused where a guess could be wrong."""
    backend, wanted = options.get("backend", "auto"), len(options.get("devices") or (0,))
    if backend == "onnxruntime":
        return 0
    if backend == "auto" and not _some_gpus():
        raise InvalidInput(
            "Ray knows of no GPU, as before ray.init(), or while an autoscaler has no node with "
            "one; so say num_gpus=1, which waits for one, or num_gpus=0 to compute on CPUs.",
            name="num_gpus",
        )
    return wanted


def _some_gpus() -> bool:
    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU"))


def _name(model: object) -> str:
    return Path(model).stem if isinstance(model, str | Path) else ""


def _read(name: str, value: object) -> object:
    """An argument of a command, which is text: numbers, lists and the like are JSON."""
    if not isinstance(value, str) or name == "model":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
