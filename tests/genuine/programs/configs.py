"""`IBuilderConfig`: flags, levels, limits, timing caches; the memory that a plan lies in."""

from typing import Any

from tests.genuine.trial import Trial


def flag(t: Trial, name: str) -> Any:
    return getattr(t.trt.BuilderFlag, name)


def set_and_look(t: Trial, *names: str) -> None:
    for name in names:
        t.config.set_flag(flag(t, name))
    for name in names:
        t.config.get_flag(flag(t, name))


def flags_by_default(t: Trial) -> None:
    for name in ("TF32", "REFIT", "STRIP_PLAN", "SPARSE_WEIGHTS", "VERSION_COMPATIBLE"):
        t.config.get_flag(flag(t, name))


def a_flag_set_and_cleared(t: Trial) -> None:
    set_and_look(t, "SPARSE_WEIGHTS")
    t.config.clear_flag(flag(t, "SPARSE_WEIGHTS"))
    t.config.get_flag(flag(t, "SPARSE_WEIGHTS"))


def tf32_cleared(t: Trial) -> None:
    t.config.clear_flag(t.trt.BuilderFlag.TF32)
    t.config.get_flag(t.trt.BuilderFlag.TF32)
    t.define((2, 4))
    t.build()


def refit_then_refit_identical(t: Trial) -> None:
    set_and_look(t, "REFIT", "REFIT_IDENTICAL")


def refit_identical_then_refit(t: Trial) -> None:
    set_and_look(t, "REFIT_IDENTICAL", "REFIT")


def refit_then_refit_individual(t: Trial) -> None:
    set_and_look(t, "REFIT", "REFIT_INDIVIDUAL")


def refit_individual_then_identical(t: Trial) -> None:
    set_and_look(t, "REFIT_INDIVIDUAL", "REFIT_IDENTICAL")


def flags_as_one_number(t: Trial) -> None:
    t.config.flags = 1 << int(flag(t, "STRICT_NANS"))
    t.config.get_flag(flag(t, "STRICT_NANS"))
    t.config.get_flag(flag(t, "TF32"))


def no_lean_runtime_alone(t: Trial) -> None:
    set_and_look(t, "EXCLUDE_LEAN_RUNTIME")


def no_lean_runtime_after_version_compatible(t: Trial) -> None:
    set_and_look(t, "VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME")


def sparse_weights(t: Trial) -> None:
    set_and_look(t, "SPARSE_WEIGHTS")
    t.define((2, 4))
    t.build()


def strict_nans(t: Trial) -> None:
    set_and_look(t, "STRICT_NANS")
    t.define((2, 4))
    t.build()


def a_version_compatible_plan(t: Trial) -> None:
    set_and_look(t, "VERSION_COMPATIBLE")
    t.define((2, 4))
    t.build()


def weight_streaming(t: Trial) -> None:
    set_and_look(t, "WEIGHT_STREAMING")
    t.define((2, 4))
    t.build()


def a_number_for_a_flag(t: Trial) -> None:
    t.config.set_flag(6)


def a_flag_by_its_name(t: Trial) -> None:
    t.attempt("BuilderFlag['TF32']", lambda: t.trt.BuilderFlag["TF32"])


def all_flags(t: Trial) -> None:
    t.attempt("iter(BuilderFlag)", lambda: bool(list(t.trt.BuilderFlag)))


def how_many_flags(t: Trial) -> None:
    t.attempt("len(BuilderFlag)", lambda: len(t.trt.BuilderFlag) > 0)


def a_flag_by_its_number(t: Trial) -> None:
    t.attempt("BuilderFlag(6)", lambda: t.trt.BuilderFlag(6).name)


def a_flag_as_a_number(t: Trial) -> None:
    t.attempt("int(TF32)", lambda: int(t.trt.BuilderFlag.TF32))
    t.attempt("1 << TF32", lambda: 1 << int(t.trt.BuilderFlag.TF32))


def an_unknown_flag(t: Trial) -> None:
    t.attempt("BuilderFlag.NOTHING", lambda: t.trt.BuilderFlag.NOTHING)


# -- levels and limits -----------------------------------------------------------------------------


def put(t: Trial, name: str, value: Any) -> None:
    setattr(t.config, name, value)
    getattr(t.config, name)


def numbers_by_default(t: Trial) -> None:
    for name in ("builder_optimization_level", "avg_timing_iterations", "max_aux_streams"):
        getattr(t.config, name)


def optimization_level_five(t: Trial) -> None:
    put(t, "builder_optimization_level", 5)


def optimization_level_nine(t: Trial) -> None:
    put(t, "builder_optimization_level", 9)


def optimization_level_minus_one(t: Trial) -> None:
    put(t, "builder_optimization_level", -1)


def optimization_level_as_text(t: Trial) -> None:
    put(t, "builder_optimization_level", "3")


def optimization_level_none(t: Trial) -> None:
    put(t, "builder_optimization_level", None)


def no_timing_iterations(t: Trial) -> None:
    put(t, "avg_timing_iterations", 0)


def negative_timing_iterations(t: Trial) -> None:
    put(t, "avg_timing_iterations", -3)


def many_tactics(t: Trial) -> None:
    put(t, "max_num_tactics", 7)


def no_tactics(t: Trial) -> None:
    put(t, "max_num_tactics", 0)


def no_streams_beside(t: Trial) -> None:
    put(t, "max_aux_streams", 0)


def fewer_than_no_streams(t: Trial) -> None:
    put(t, "max_aux_streams", -2)


def a_name_that_it_has_not(t: Trial) -> None:
    t.config.colour = "red"


def all_details(t: Trial) -> None:
    put(t, "profiling_verbosity", t.trt.ProfilingVerbosity.DETAILED)
    t.define((2, 4))
    t.build()


def a_number_for_a_level(t: Trial) -> None:
    put(t, "profiling_verbosity", 2)


def tiling(t: Trial) -> None:
    put(t, "tiling_optimization_level", t.trt.TilingOptimizationLevel.FAST)


def plans_for_other_gpus(t: Trial) -> None:
    put(t, "hardware_compatibility_level", t.trt.HardwareCompatibilityLevel.AMPERE_PLUS)


def plans_for_this_gpu(t: Trial) -> None:
    put(t, "hardware_compatibility_level", t.trt.HardwareCompatibilityLevel.NONE)


def workspace(t: Trial) -> None:
    pool = t.trt.MemoryPoolType.WORKSPACE
    t.config.set_memory_pool_limit(pool, 1 << 20)
    t.config.get_memory_pool_limit(pool)


def no_workspace(t: Trial) -> None:
    pool = t.trt.MemoryPoolType.WORKSPACE
    t.config.set_memory_pool_limit(pool, 0)
    t.config.get_memory_pool_limit(pool)
    t.define((2, 4))
    t.build()


def negative_workspace(t: Trial) -> None:
    t.config.set_memory_pool_limit(t.trt.MemoryPoolType.WORKSPACE, -1)


def one_tactic_source(t: Trial) -> None:
    t.config.set_tactic_sources(1 << int(t.trt.TacticSource.JIT_CONVOLUTIONS))
    t.config.get_tactic_sources()


def no_tactic_source(t: Trial) -> None:
    t.config.set_tactic_sources(0)
    t.config.get_tactic_sources()


def an_unknown_tactic_source(t: Trial) -> None:
    t.config.set_tactic_sources(1 << 20)


# -- timing caches, plans --------------------------------------------------------------------------


def a_new_timing_cache(t: Trial) -> None:
    t.config.create_timing_cache(b"")


def a_corrupt_timing_cache(t: Trial) -> None:
    t.config.create_timing_cache(b"nonsense" * 9)


def a_text_for_a_timing_cache(t: Trial) -> None:
    t.config.create_timing_cache("")


def no_timing_cache_yet(t: Trial) -> None:
    t.config.get_timing_cache()


def plan_of(t: Trial) -> Any:
    t.define((2, 4))
    return vars(t.build())["_it"]


def the_size_of_a_plan(t: Trial) -> None:
    plan = plan_of(t)
    t.attempt("nbytes > 0", lambda: plan.nbytes > 0)
    t.attempt("len(plan)", lambda: len(plan) > 0)


def a_plan_as_bytes(t: Trial) -> None:
    plan = plan_of(t)
    t.attempt("bytes(plan)", lambda: len(bytes(plan)) == plan.nbytes)
    t.attempt("bytearray(plan)", lambda: len(bytearray(plan)) == plan.nbytes)


def a_plan_as_a_memoryview(t: Trial) -> None:
    view = t.attempt("memoryview(plan)", lambda: memoryview(plan_of(t)))
    t.attempt("nbytes > 0", lambda: view.nbytes > 0)
    t.attempt("itemsize", lambda: view.itemsize)
    t.attempt("format", lambda: view.format)
    t.attempt("readonly", lambda: view.readonly)


def a_plan_indexed(t: Trial) -> None:
    plan = plan_of(t)
    t.attempt("plan[0]", lambda: isinstance(plan[0], int))


def a_plans_dtype(t: Trial) -> None:
    t.attempt("dtype", lambda: plan_of(t).dtype)


# -- builds ----------------------------------------------------------------------------------------


def built_twice(t: Trial) -> None:
    t.define((2, 4))
    t.build()
    t.build()


def a_build_without_a_config(t: Trial) -> None:
    t.define((2, 4))
    t.builder.build_serialized_network(t.network, None)


def a_build_without_a_network(t: Trial) -> None:
    t.builder.build_serialized_network(None, t.config)


def a_name_that_the_builder_has_not(t: Trial) -> None:
    t.look(t.builder, "colour")


def a_builder_without_a_logger(t: Trial) -> None:
    t.attempt("Builder(None)", lambda: t.trt.Builder(None))


def a_second_logger(t: Trial) -> None:
    class Second(t.trt.ILogger):  # type: ignore[name-defined, misc]  # known at run time only
        def __init__(self) -> None:
            t.trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            self.lines.append(msg)

    second = t.keep(Second())
    builder = t.attempt("Builder()", lambda: t.trt.Builder(second))
    network = builder.create_network(0)
    t.attempt("add_input", lambda: network.add_input("x", t.trt.DataType.FLOAT, (-2,)))
    t.attempt("the second has heard", lambda: bool(second.lines))


def a_parser_without_a_network(t: Trial) -> None:
    t.attempt("OnnxParser(None)", lambda: t.trt.OnnxParser(None, None))
