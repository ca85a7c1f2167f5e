"""Both `api.py` against the genuine bindings, and the check itself shown failing."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from tests.conformance.apis import APIS, GENUINE_NAMES
from tests.conformance.bindings import Bindings, read
from tests.conformance.dump import written_overloads
from tests.conformance.protocols import claims, complaints, unknown_everywhere
from trtasync.runtimes.tensorrt import api


class OldEngine(Protocol):
    """What TensorRT 11 has removed."""

    device_memory_size: int

    def create_execution_context_without_device_memory(self) -> Any: ...
    def get_tensor_name(self, index: int) -> str: ...


class NewProfile(Protocol):
    """What came with TensorRT 11."""

    profile_stream: Any


class MisspeltContext(Protocol):
    """Right names, used wrongly."""

    execute_async_v3: Any

    def name(self) -> str: ...
    def set_input_shape(self, tensor_name: str, shape: Any) -> bool: ...
    def set_device_memory(self, memory: int) -> None: ...


class CarefulEngine(Protocol):
    """What TensorRT 11 has removed, and marked so."""

    @api.only_some
    def create_execution_context_without_device_memory(self) -> Any: ...
    @property
    @api.only_some
    def device_memory_size(self) -> int: ...


class CarefulButWrong(Protocol):
    """The mark excuses a missing name, not a wrong parameter; and not a name that never was."""

    @api.only_some
    def get_aliased_input_tensor(self, output: str) -> str: ...
    @api.only_some
    def get_alias(self, name: str) -> str: ...


class Constructed(Protocol):
    """Stands for a base class."""

    def __call__(self) -> Any: ...


def test_api_is_what_every_version_offers(every_genuine: tuple[Bindings, ...]) -> None:
    found = [
        text
        for protocol, name in GENUINE_NAMES.items()
        for bindings in every_genuine
        for text in complaints(protocol, name, bindings)
    ]
    assert not found, "\n".join(found)


def test_what_api_marks_as_only_some_exists_somewhere(every_genuine: tuple[Bindings, ...]) -> None:
    found = [
        text
        for protocol, name in GENUINE_NAMES.items()
        for text in unknown_everywhere(protocol, name, every_genuine)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", APIS, ids=lambda module: module.__name__)
def test_no_protocol_of_api_goes_unchecked(module: ModuleType) -> None:
    protocols = {
        each
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    }
    assert protocols == set(module.GENUINE_NAMES)
    empty = [each.__name__ for each in protocols if not claims(each)]
    assert not empty, f"nothing to check was found in {empty}"


def test_what_the_new_version_lacks_is_found(genuine: tuple[Bindings, ...]) -> None:
    old, new = genuine
    place = "TensorRT 11.4.0.106, ICudaEngine: there is no such name"
    assert complaints(OldEngine, "ICudaEngine", old) == []
    assert complaints(OldEngine, "ICudaEngine", new) == [
        f"OldEngine.device_memory_size: {place}",
        f"OldEngine.create_execution_context_without_device_memory: {place}",
    ]


def test_what_the_old_version_lacks_is_found(genuine: tuple[Bindings, ...]) -> None:
    old, new = genuine
    assert complaints(NewProfile, "IOptimizationProfile", new) == []
    assert complaints(NewProfile, "IOptimizationProfile", old) == [
        "NewProfile.profile_stream: TensorRT 10.16.1.11, IOptimizationProfile: "
        "there is no such name"
    ]
    assert complaints(NewProfile, "IRoute", old) == [
        "NewProfile: TensorRT 10.16.1.11 has no IRoute"
    ]


def test_a_wrong_parameter_or_kind_is_found(genuine: tuple[Bindings, ...]) -> None:
    for bindings in genuine:
        place = f"TensorRT {bindings.version}, IExecutionContext"
        shapes = " or ".join(["(name, shape)"] * 3)
        assert complaints(MisspeltContext, "IExecutionContext", bindings) == [
            f"MisspeltContext.execute_async_v3: {place}: execute_async_v3 is a method there",
            f"MisspeltContext.name: {place}: name is a property there, not a method",
            f"MisspeltContext.set_input_shape: {place}: takes {shapes}, not (tensor_name, shape)",
            f"MisspeltContext.set_device_memory: {place}: takes (memory, size), not (memory)",
        ]


def test_only_some_excuses_a_missing_name(genuine: tuple[Bindings, ...]) -> None:
    for bindings in genuine:
        assert complaints(CarefulEngine, "ICudaEngine", bindings) == []
    assert unknown_everywhere(CarefulEngine, "ICudaEngine", genuine) == []


def test_only_some_excuses_nothing_else(genuine: tuple[Bindings, ...]) -> None:
    for bindings in genuine:
        assert complaints(CarefulButWrong, "ICudaEngine", bindings) == [
            f"CarefulButWrong.get_aliased_input_tensor: TensorRT {bindings.version}, ICudaEngine: "
            "takes (name), not (output)"
        ]
    assert unknown_everywhere(CarefulButWrong, "ICudaEngine", genuine) == [
        "CarefulButWrong.get_alias: marked only_some, but no version checked has it"
    ]


def test_a_base_class_must_take_subclasses(genuine: tuple[Bindings, ...]) -> None:
    for bindings in genuine:
        assert complaints(Constructed, "ILogger", bindings) == []
        assert complaints(Constructed, "ICudaEngine", bindings) == [
            f"Constructed.__call__: TensorRT {bindings.version}, ICudaEngine: "
            "a subclass cannot be made without arguments"
        ]


def test_every_signature_could_be_read(genuine: tuple[Bindings, ...]) -> None:
    """A docstring written otherwise must not turn into a method that takes nothing."""
    for bindings in genuine:
        unread = [
            f"{name}.{member}"
            for name, owner in bindings.owners.items()
            for member, each in owner.members.items()
            if each.kind == "method" and not each.overloads
        ]
        assert not unread, f"TensorRT {bindings.version}: {unread}"


def test_signatures_are_read_from_docstrings() -> None:
    doc = (
        "f(*args, **kwargs)\nOverloaded function.\n\n"
        "1. f(self: trt.X, table: dict[str, int], *, kind: trt.K = <K.A: 0>) -> list[int]\n\n"
        "    Text that mentions f(something) and more.\n\n"
        "2. f(self: trt.X) -> None\n"
    )
    assert written_overloads("f", doc) == [
        [
            {"name": "table", "required": True},
            {"name": "*", "required": False},
            {"name": "kind", "required": False},
        ],
        [],
    ]


def test_missing_bindings_are_an_error_that_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="`make test` installs them"):
        read("11.4.0.106", tmp_path)
