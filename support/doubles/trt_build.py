"""One build of the double of `tensorrt`: what it refuses, its phases, its plan."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from support.doubles import trt_builds
from support.doubles.trt_config import IBuilderConfig, IOptimizationProfile
from support.doubles.trt_enums import HardwareCompatibilityLevel, MemoryPoolType
from support.doubles.trt_graph import on_zeros
from support.doubles.trt_names import ILogger, Logging
from support.doubles.trt_network import INetworkDefinition
from support.doubles.trt_phases import Phases
from support.doubles.trt_plan import Built, Head, Port, serialize
from support.doubles.trt_tensors import ILayer, ITensor, numpy_of
from support.doubles.trt_timing import IHostMemory

WORKERS = 2
"""Threads that time tactics at the same time."""

WEAK = ("FP16", "BF16", "INT8", "FP8", "INT4", "FP4")


class _Refused(Exception):
    """Why there is no plan, in TensorRT's style."""


class Build(Logging):
    """Of one network with one config."""

    def __init__(self, network: INetworkDefinition, config: IBuilderConfig, logger: Any):
        self._network, self._config, self._logger = network, config, logger
        self._builds = trt_builds.current()
        self._phases = Phases(config.progress_monitor, self._builds)
        self._graph = network._graph(network._outputs)

    def run(self) -> IHostMemory | None:
        """None when it is refused, or stopped by its monitor."""
        name = self._network.name
        self._builds.begin(name)
        plan = None
        try:
            self._check()
            self._warn()
            self._calibrate()
            outputs = self._outputs()
            self._phases.run(f"Building an engine from {name}", None, 3, self._work)
            if self._phases.stopped:
                raise _Refused("Error Code 7: BuildCanceled (Build canceled by user)")
            plan = IHostMemory(serialize(self._head(), self._built(outputs)))
        except _Refused as refused:
            self._refuse(f"IBuilder::buildSerializedNetwork: {refused}")
        finally:
            self._builds.end(name, plan is not None)
        return plan

    # -- what is refused ---------------------------------------------------------------------------

    def _check(self) -> None:
        problem = next(self._problems(), "")
        if problem:
            raise _Refused(problem)

    def _problems(self) -> Iterator[str]:
        network, config = self._network, self._config
        if not network._outputs:
            yield "Error Code 4: Internal Error (Network must have at least one output)"
        if not all(tensor.name for tensor in (*network._inputs, *network._outputs)):
            yield "Error Code 1: Myelin (Given an empty tensor name.)"
        for flag in WEAK:
            if config._has(flag) and network._strong:
                yield (
                    f"Error Code 3: API Usage Error (BuilderFlag::k{flag} cannot be set on a "
                    "strongly typed network)"
                )
        for tensor in network._inputs:
            yield from self._profile_problems(tensor)
        limit = config.get_memory_pool_limit(MemoryPoolType.WORKSPACE)
        if limit == 0:
            yield "Error Code 2: Internal Error (Compiling this graph requires workspace memory)"
        if self._builds.workspace_needed > limit:
            layer = network._layers[0].name
            yield f"Error Code 10: Internal Error (Could not find any implementation for {layer}.)"

    def _warn(self) -> None:
        operations = self._graph.operations
        used = {number for each in operations for number in each.inputs}
        used -= {number for each in operations for number in each.options.get("unused", ())}
        for tensor in self._network._inputs:
            if tensor._number not in used:
                self._say(f"Unused Input: {tensor.name}", ILogger.Severity.WARNING)

    def _profile_problems(self, tensor: ITensor) -> Iterator[str]:
        shape, profiles = tensor.shape, self._config._profiles
        dynamic = tensor.is_shape_tensor or -1 in shape
        if dynamic and not profiles:
            yield (
                "Error Code 4: Internal Error (Network has dynamic or shape inputs, but no "
                "optimization profile has been defined.)"
            )
        for index, profile in enumerate(profiles):
            range_ = self._given(profile, tensor)
            if not range_ and dynamic:
                yield (
                    f"Error Code 4: Internal Error ({tensor.name}: dynamic input is missing "
                    f"dimensions in profile {index}.)"
                )
            elif range_ and not tensor.is_shape_tensor and not _fits(shape, range_):
                yield (
                    f"Error Code 4: Internal Error ({tensor.name}: kMIN dimensions in profile "
                    f"{index} are {list(range_[0])} but input has static dimensions "
                    f"{list(shape)}.)"
                )

    def _given(self, profile: IOptimizationProfile, tensor: ITensor) -> tuple[Any, ...]:
        known = profile._values if tensor.is_shape_tensor else profile._shapes
        return known.get(tensor.name, ())

    def _ranges(self, tensor: ITensor) -> tuple[Any, ...]:
        fixed = (tensor.shape,) * 3
        return tuple(self._given(each, tensor) or fixed for each in self._config._profiles)

    def _calibrate(self) -> None:
        if not self._config._has("INT8"):
            return
        calibrator = getattr(self._config, "int8_calibrator", None)
        if calibrator is None:
            self._say(
                "Calibrator is not being used. Users must provide dynamic range for all tensors "
                "that are not Int32 or Bool.",
                ILogger.Severity.WARNING,
            )
            return
        if self._config._profiles and getattr(self._config, "_calibration", None) is None:
            self._say(
                "Calibration Profile is not defined. Calibrating with Profile 0",
                ILogger.Severity.WARNING,
            )
        try:
            self._feed(calibrator)
        except Exception as error:  # the bindings print it, and TensorRT gives up
            raise _Refused(
                f"Error Code 2: Internal Error (the calibrator raised {error})"
            ) from error

    def _feed(self, calibrator: Any) -> None:
        names = [tensor.name for tensor in self._network._inputs]
        calibrator.get_batch_size()
        if calibrator.read_calibration_cache() is not None:
            return
        while calibrator.get_batch(names):
            self._builds.calibrated += 1
        calibrator.write_calibration_cache(b"calibrated")

    # -- what takes time ---------------------------------------------------------------------------

    def _work(self, step: int) -> None:
        """Of the outermost phase."""
        parent = f"Building an engine from {self._network.name}"
        if step == 1:
            self._time_in_threads(parent)
        else:
            name = "Optimizing the graph" if step == 0 else "Serializing the engine"
            self._phases.run(name, parent, self._builds.steps)

    def _time_in_threads(self, parent: str) -> None:
        def time(worker: int) -> None:
            layers = self._network._layers[worker::WORKERS]
            steps = self._builds.steps
            self._phases.run(
                f"Timing tactics ({worker})",
                parent,
                steps,
                lambda step: self._time(layers[step::steps]),
            )

        threads = [
            threading.Thread(target=time, args=(worker,), name=f"trt-builder-{worker}")
            for worker in range(WORKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _time(self, layers: list[ILayer]) -> None:
        """Measure what the timing cache does not know."""
        config, cache = self._config, self._config._cache
        ignored = config.builder_optimization_level == 0 or config._has("DISABLE_TIMING_CACHE")
        for layer in layers:
            key = self._key(layer)
            known = cache._entries if cache is not None and not ignored else {}
            self._builds.tactic(found=key in known)
            known[key] = 1.0

    def _key(self, layer: ILayer) -> str:
        ranges = [self._ranges(tensor) for tensor in self._network._inputs]
        return hashlib.sha256(f"{layer.name} {layer.type} {ranges}".encode()).hexdigest()

    # -- what comes out ----------------------------------------------------------------------------

    def _head(self) -> Head:
        config, made = self._config, self._config._head
        level = config.hardware_compatibility_level
        compatible = config._has("VERSION_COMPATIBLE")
        return Head(
            made["version"],
            made["capability"],
            made["gpu"] if level is HardwareCompatibilityLevel.NONE else "",
            level.name,
            compatible,
            compatible and not config._has("EXCLUDE_LEAN_RUNTIME"),
        )

    def _outputs(self) -> tuple[Port, ...]:
        """Raises `_Refused` where the layers do not fit together."""
        inputs = self._network._inputs
        kinds = [(t.name, np.dtype(numpy_of(t.dtype)), t.is_shape_tensor) for t in inputs]
        best = {t.name: (self._ranges(t) or ((t.shape,) * 3,))[0][1] for t in inputs}
        try:
            arrays = on_zeros(self._graph, kinds, best)
        except Exception as error:
            raise _Refused(f"Error Code 4: Internal Error ({error})") from error
        growing = any(each.options.get("data_dependent") for each in self._graph.operations)
        return tuple(
            Port(t.name, array.dtype.name, t.shape, data_dependent=growing and -1 in t.shape)
            for t, array in zip(self._network._outputs, arrays, strict=True)
        )

    def _built(self, outputs: tuple[Port, ...]) -> Built:
        config, network = self._config, self._network
        inputs = tuple(
            Port(t.name, numpy_of(t.dtype), t.shape, self._ranges(t), t.is_shape_tensor)
            for t in network._inputs
        )
        refit = ("REFIT", "REFIT_IDENTICAL", "REFIT_INDIVIDUAL", "STRIP_PLAN")
        return Built(
            network.name,
            self._graph,
            inputs,
            outputs,
            tuple(_described(layer) for layer in network._layers),
            config.profiling_verbosity.name,
            any(map(config._has, refit)),
            4096 if config._has("WEIGHT_STREAMING") else 0,
        )


def _fits(shape: tuple[int, ...], range_: tuple[tuple[int, ...], ...]) -> bool:
    return all(
        len(given) == len(shape) and all(n in (-1, m) for n, m in zip(shape, given, strict=True))
        for given in range_
    )


def _described(layer: ILayer) -> dict[str, Any]:
    """Of one layer, as DETAILED tells it."""
    numbers = layer._operation.inputs, layer._operation.outputs
    inputs, outputs = ([layer._network._tensors[n].name for n in each] for each in numbers)
    return {
        "Name": layer.name,
        "LayerType": layer.type.name.title().replace("_", ""),
        "Inputs": [{"Name": name} for name in inputs],
        "Outputs": [{"Name": name} for name in outputs],
        "TacticName": f"double_{layer.type.name.lower()}",
        "Metadata": "",
    }
