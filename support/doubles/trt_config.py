"""`IBuilderConfig` and optimization profiles of the double of `tensorrt`."""

from collections.abc import Sequence
from typing import Any

from support.doubles import trt_builds
from support.doubles.trt_context import Hooks
from support.doubles.trt_enums import (
    BuilderFlag,
    HardwareCompatibilityLevel,
    MemoryPoolType,
    ProfilingVerbosity,
    TacticSource,
    TilingOptimizationLevel,
)
from support.doubles.trt_names import (
    ILogger,
    IProgressMonitor,
    Logging,
    Numbered,
    demand,
    shape_of,
)
from support.doubles.trt_timing import ITimingCache, read_timing

EXCLUSIVE = ("REFIT", "REFIT_INDIVIDUAL", "REFIT_IDENTICAL")
HIGHEST_LEVEL = 5
LEAST = {"max_num_tactics": 1, "max_aux_streams": 0}
"""Of numbers; less than that has no effect."""

Shape = tuple[int, ...]
Range = tuple[Shape, Shape, Shape]


class IOptimizationProfile(Logging):
    """Ranges of the inputs' shapes and values."""

    _shapes: dict[str, Range]
    _values: dict[str, Range]
    _extra: float

    @classmethod
    def _make(cls, logger: Any) -> "IOptimizationProfile":
        profile = cls()
        profile._logger = logger
        profile._shapes, profile._values, profile._extra = {}, {}, 1.0
        return profile

    @property
    def extra_memory_target(self) -> float:
        """0 to 1."""
        return self._extra

    @extra_memory_target.setter
    def extra_memory_target(self, value: float) -> None:
        if 0 <= value <= 1:
            self._extra = value
        else:
            self._refuse(
                "IOptimizationProfile::setExtraMemoryTarget: Error Code 3: API Usage Error "
                "(Parameter check failed, condition: target >= 0.F && target <= 1.F)"
            )

    def set_shape(
        self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]
    ) -> None:
        """Raises RuntimeError for negative numbers, whatever the documentation says. Whether the
        three fit together is asked when the profile is added."""
        range_ = _range(min, opt, max)
        if any(n < 0 for shape in range_ for n in shape):
            self._refuse(
                "IOptimizationProfile::setDimensions: Error Code 3: API Usage Error (Parameter "
                f"check failed, condition: x >= 0: {input}, {range_})"
            )
            raise RuntimeError("Shape provided for min, opt or max is inconsistent.")
        self._shapes[input] = range_

    def set_shape_input(
        self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]
    ) -> None:
        """Raises RuntimeError, whatever the documentation says."""
        range_ = _range(min, opt, max)
        if not _is_ordered(range_):
            self._refuse(
                "IOptimizationProfile::setShapeValuesV2: Error Code 3: API Usage Error (Parameter "
                f"check failed, condition: validate: {input}, {range_})"
            )
            raise RuntimeError("Values provided for min, opt or max are inconsistent.")
        self._values[input] = range_

    def get_shape(self, input: str) -> list[Shape]:
        """[min, opt, max]; nothing, with a log line, if it was never set."""
        if input not in self._shapes:
            self._refuse(
                "IOptimizationProfile::getDimensions: Error Code 4: API Usage Error (Cannot get "
                f"dimensions for input: {input}.)"
            )
        return list(self._shapes.get(input, ()))

    def get_shape_input(self, input: str) -> list[list[int]]:
        """[min, opt, max], or nothing."""
        return [list(values) for values in self._values.get(input, ())]

    def __bool__(self) -> bool:
        """It could be added; says why not."""
        unfit = [name for name, range_ in self._shapes.items() if not _is_ordered(range_)]
        if unfit:
            self._refuse(
                "IOptimizationProfile::isValid: Error Code 4: API Usage Error (Invalid "
                f"optimization profiles for input tensors {', '.join(unfit)}, please ensure that "
                "the optimization profiles satisfy MIN<=OPT<=MAX.)"
            )
        return not unfit and not trt_builds.current().refuse_profiles


def _range(*shapes: Sequence[int]) -> Range:
    low, best, high = map(shape_of, shapes)
    return low, best, high


def _is_ordered(range_: Range) -> bool:
    low, best, high = range_
    same = len(low) == len(best) == len(high)
    return same and all(a <= b <= c for a, b, c in zip(low, best, high, strict=True))


class IBuilderConfig(Logging):
    """How to build. As with pybind11, names that it has not cannot be set, nor wrong types."""

    _flag_type: type[Numbered] = BuilderFlag
    _source_type: type[Numbered] = TacticSource
    _mask: int
    _sources: int
    _pools: dict[MemoryPoolType, int]
    _profiles: list[IOptimizationProfile]
    _cache: ITimingCache | None
    _head: dict[str, str]

    builder_optimization_level: int = 3
    avg_timing_iterations: int = 1
    max_num_tactics: int = -1
    max_aux_streams: int = -1
    hardware_compatibility_level: HardwareCompatibilityLevel = HardwareCompatibilityLevel.NONE
    tiling_optimization_level: TilingOptimizationLevel = TilingOptimizationLevel.NONE
    profiling_verbosity: ProfilingVerbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
    progress_monitor: IProgressMonitor | None = None

    @classmethod
    def _make(cls, logger: Any, version: str) -> Any:
        config = cls()
        config._logger = logger
        gpu, capability = Hooks.gpu()
        config._head = {"version": version, "gpu": gpu, "capability": capability}
        config._mask = 1 << int(config._flag_type.__members__["TF32"])
        config._sources = sum(1 << int(source) for source in cls._source_type.__members__.values())
        config._pools, config._profiles, config._cache = {}, [], None
        return config

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            default = getattr(type(self), name)  # AttributeError, as of pybind11
            if isinstance(default, (int, Numbered)) and not isinstance(value, type(default)):
                raise TypeError(f"(): incompatible function arguments: {name} = {value!r}")
            if name == "progress_monitor" and value is not None:
                demand(value, IProgressMonitor)
            value = self._heeded(name, value)
        super().__setattr__(name, value)

    def _heeded(self, name: str, value: Any) -> Any:
        """What a number becomes: what makes no sense leaves it as it was, with a log line."""
        if name == "builder_optimization_level" and value < 0:
            self._refuse(
                "IBuilderConfig::setBuilderOptimizationLevel: Error Code 3: API Usage Error "
                f"(Parameter check failed, condition: level >= 0: {value})"
            )
        elif name == "builder_optimization_level":
            return min(value, HIGHEST_LEVEL)
        elif name in LEAST and value < LEAST[name]:
            self._say(f"{name}: {value} has no effect.", ILogger.Severity.WARNING)
        else:
            return value
        return getattr(self, name)

    @property
    def flags(self) -> int:
        """As a mask."""
        return self._mask

    @flags.setter
    def flags(self, value: int) -> None:
        self._mask = int(value)

    @property
    def num_optimization_profiles(self) -> int:
        """How many were added."""
        return len(self._profiles)

    def _bit(self, flag: Any) -> int:
        if not isinstance(flag, self._flag_type):
            raise TypeError(f"incompatible function arguments: {flag!r} is no BuilderFlag")
        return 1 << int(flag)

    def _has(self, name: str) -> bool:
        """Whether a flag is set, which this version may not have."""
        member = self._flag_type.__members__.get(name)
        return member is not None and self.get_flag(member)

    def set_flag(self, flag: Any) -> None:
        """On. Of those that exclude each other the last one stays."""
        bit = self._bit(flag)
        if flag.name == "EXCLUDE_LEAN_RUNTIME" and not self._has("VERSION_COMPATIBLE"):
            self._refuse(
                "IBuilderConfig::setFlag: Error Code 3: API Usage Error (kEXCLUDE_LEAN_RUNTIME can "
                "only be set if kVERSION_COMPATIBLE is set.)"
            )
            return
        for other in EXCLUSIVE:
            if flag.name in EXCLUSIVE and other != flag.name and self._has(other):
                self._mask &= ~self._bit(self._flag_type.__members__[other])
                self._say(
                    "Unset previous flag because kREFIT, kREFIT_INDIVIDUAL and kREFIT_IDENTICAL "
                    "are mutually exclusive.",
                    ILogger.Severity.WARNING,
                )
        self._mask |= bit

    def clear_flag(self, flag: Any) -> None:
        """Off."""
        self._mask &= ~self._bit(flag)

    def get_flag(self, flag: Any) -> bool:
        """Whether it is on."""
        return bool(self._mask & self._bit(flag))

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """In bytes."""
        demand(pool, MemoryPoolType)
        if pool_size < 0:
            raise TypeError(f"incompatible function arguments: {pool_size} is no unsigned number")
        self._pools[pool] = int(pool_size)

    def get_memory_pool_limit(self, pool: MemoryPoolType) -> int:
        """All of the device's, by default."""
        return self._pools.get(pool, 1 << 37)

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        """Whatever the bits mean."""
        self._sources = int(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        """As a mask."""
        return self._sources

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Its index; -1, with a log line, when it is not valid."""
        if not profile:
            self._refuse(
                "IBuilderConfig::addOptimizationProfile: Error Code 3: API Usage Error (Parameter "
                "check failed, condition: profile->isValid())"
            )
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: Any) -> ITimingCache | None:
        """Of nothing a new one; so, with a log line, of what is no timing cache."""
        data = bytes(memoryview(serialized_timing_cache))
        read = read_timing(data) if data else (self._head, {})
        if read is None:
            self._say(
                "Failed to deserialize timing cache. Returning an empty timing cache.",
                ILogger.Severity.WARNING,
            )
            read = self._head, {}
        return ITimingCache._make(self._logger, *read)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """False, with a log line, for one of another version or device. Keeps it alive."""
        if not cache._suits(self._head, ignore_mismatch):
            return self._refuse(
                "IBuilderConfig::setTimingCache: Error Code 3: API Usage Error (the timing cache "
                "was made by another TensorRT or on another device)"
            )
        self._cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        """The one that was set."""
        return self._cache
