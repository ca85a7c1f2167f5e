"""The public surface: names, docstrings, the tree of errors, the typing marker."""

import importlib.resources
import inspect
from typing import Any

import pytest

import trtasync
import trtasync.plans
import trtasync.runtimes
import trtasync.testing
import trtasync.tune

PUBLIC = [
    "AnyEngine",
    "BackendUnavailable",
    "BuildError",
    "BuildProgress",
    "BuilderConfig",
    "CudaError",
    "Cut",
    "DeviceLost",
    "Engine",
    "EngineClosed",
    "EngineRestarting",
    "FunctionBackend",
    "InferenceError",
    "InvalidInput",
    "Pad",
    "Plan",
    "PlanError",
    "Profile",
    "QueueFull",
    "RequestTooLarge",
    "RunTooLong",
    "Shapes",
    "SharedCache",
    "Statistics",
    "StreamStatistics",
    "TensorSpec",
    "TimeSummary",
    "TrtasyncError",
    "WrongLoop",
    "build_plan",
    "connect",
    "open_engine",
]

TUNE = [
    "Aim",
    "Config",
    "CurvePoint",
    "Nearest",
    "Outcome",
    "Probe",
    "Progress",
    "Recommendation",
    "Report",
    "Result",
    "Search",
    "Settings",
    "Space",
    "Standing",
    "Subject",
    "Tuning",
    "plot",
    "run",
]

ERRORS = [name for name in trtasync.errors.__all__ if name != "TrtasyncError"]

OPTIONS = [
    "model",
    "backend",
    "devices",
    "streams",
    "max_batch_size",
    "batch_sizes",
    "max_queue_delay",
    "preferred_batch_size",
    "max_queue_size",
    "max_queue_time",
    "padding",
    "batching",
    "batch_axes",
    "check_seconds",
    "threads",
    "loop_budget",
    "run_timeout",
    "max_row_bytes",
    "graphs",
    "copy_threads",
    "inline_bytes",
    "profiles",
    "builder_config",
    "cache",
    "engine_host_code_allowed",
    "name",
    "shared",
    "linger",
    "reconnect",
    "traces",
    "hang_timeout",
]


def test_public_names_are_pinned() -> None:
    assert sorted(trtasync.__all__) == PUBLIC
    assert all(hasattr(trtasync, name) for name in PUBLIC)


def test_public_names_of_tuning_are_pinned() -> None:
    assert sorted(trtasync.tune.__all__) == TUNE
    assert all(hasattr(trtasync.tune, name) for name in TUNE)


def test_options_are_pinned() -> None:
    parameters = inspect.signature(trtasync.open_engine).parameters
    assert list(parameters) == OPTIONS
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY
        for name, parameter in parameters.items()
        if name != "model"
    )


def test_methods_of_engine_are_pinned() -> None:
    public = sorted(name for name in dir(trtasync.Engine) if not name.startswith("_"))
    assert public == [
        "aclose",
        "batching",
        "empty_input",
        "infer",
        "inputs",
        "is_alive",
        "outputs",
        "statistics",
    ]


@pytest.mark.parametrize(
    "module", [trtasync, trtasync.testing, trtasync.runtimes, trtasync.plans, trtasync.tune]
)
def test_everything_public_has_a_docstring(module: Any) -> None:
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if _is_from(value, module)
    ]
    assert names
    assert [missing for name in names for missing in _undocumented(getattr(module, name))] == []


def _is_from(value: Any, module: Any) -> bool:
    return inspect.isclass(value) and value.__module__ == module.__name__


def _undocumented(thing: Any) -> list[str]:
    text = thing.__doc__ or ""
    found = [str(thing)] if not text or text.startswith(f"{thing.__name__}(") else []
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            is_code = inspect.isfunction(member) or isinstance(member, property)
            if is_code and not name.startswith("_") and not inspect.getdoc(member):
                found.append(f"{thing.__name__}.{name}")
    return found


def test_every_option_is_documented() -> None:
    text = inspect.getdoc(trtasync.open_engine) or ""
    assert [name for name in OPTIONS if f"\n    {name}: " not in text] == []


def test_every_statistic_is_documented() -> None:
    for kind in (trtasync.Statistics, trtasync.StreamStatistics, trtasync.TimeSummary):
        text = inspect.getdoc(kind) or ""
        names = [name for name in kind.__slots__ if f"\n    {name}: " not in text]
        assert names == []


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_tree(name: str) -> None:
    kind = getattr(trtasync, name)
    assert issubclass(kind, trtasync.TrtasyncError)
    assert kind("why").args == ("why",)


def test_errors_that_are_builtin_kinds_too() -> None:
    assert issubclass(trtasync.InvalidInput, ValueError)
    assert issubclass(trtasync.WrongLoop, RuntimeError)
    assert not issubclass(trtasync.QueueFull, (ValueError, RuntimeError, OSError))


def test_every_error_is_in_the_module_docstring_and_exported() -> None:
    text = trtasync.errors.__doc__ or ""
    for name in trtasync.errors.__all__:
        assert name in text
        assert name in trtasync.__all__


def test_py_typed_is_shipped() -> None:
    assert importlib.resources.files("trtasync").joinpath("py.typed").is_file()
