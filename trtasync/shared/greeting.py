"""The greeting between client and host: versions, and the model concerned."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import numpy as np

from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.rows import Judgement
from trtasync.rows.verdicts import Finding, Verdict
from trtasync.shared.records import PROTOCOL, Nonsense

Said = TypeVar("Said", bound="Hello | Welcome")


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's first message.

    Attributes:
        version: its version of trtasync.
        pid: its process ID, as it sees it.
        model: by name; None for the host's only one.
        observer: it only queries statistics, and does not keep a host alive.
        logs: it wants the host's log lines.
        protocol: must be the host's.
    """

    version: str
    pid: int
    model: str | None = None
    observer: bool = False
    logs: bool = False
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Welcome:
    """The host's answer.

    Attributes:
        version: its version of trtasync.
        pid: its process ID.
        models: all of its models, by name.
        name: the model of this session; None for an observer, as are the following.
        spec: `tell_spec` of it.
        judgement: `tell_judgement` of it.
        most_bytes: memory that this client may share.
        protocol: same as the client's.
    """

    version: str
    pid: int
    models: Sequence[str]
    name: str | None = None
    spec: Mapping[str, Any] | None = None
    judgement: Mapping[str, Any] | None = None
    most_bytes: int = 0
    protocol: int = PROTOCOL


def tell(said: Hello | Welcome) -> dict[str, Any]:
    """Convert it to a payload."""
    return {field.name: getattr(said, field.name) for field in fields(said)}


def read(kind: type[Said], told: Mapping[str, Any]) -> Said:
    """Read it from a payload, ignoring what this version does not know.

    Raises:
        Nonsense: something is missing, or of another type.
    """
    known = {field.name for field in fields(kind)}
    try:
        said = kind(**{name: value for name, value in told.items() if name in known})
    except TypeError as error:
        raise Nonsense(f"a {kind.__name__} lacks something: {error}") from error
    numbers = (said.protocol, said.pid)
    if not all(isinstance(number, int) for number in numbers) or not isinstance(said.version, str):
        raise Nonsense(f"a {kind.__name__} has versions or numbers of other types.")
    return said


def tell_spec(spec: ModelSpec) -> dict[str, Any]:
    """A model's spec as plain data."""
    return {
        "inputs": [_tell_tensor(tensor) for tensor in spec.inputs],
        "outputs": [_tell_tensor(tensor) for tensor in spec.outputs],
        "batched": spec.batched,
        "fixed_batch": spec.fixed_batch,
    }


def read_spec(told: Mapping[str, Any]) -> ModelSpec:
    """The inverse of `tell_spec`."""
    return ModelSpec(
        tuple(map(_read_tensor, told["inputs"])),
        tuple(map(_read_tensor, told["outputs"])),
        told["batched"],
        told["fixed_batch"],
    )


def tell_judgement(judgement: Judgement) -> dict[str, Any]:
    """What is known about a model's rows, as plain data."""
    return asdict(judgement)


def read_judgement(told: Mapping[str, Any]) -> Judgement:
    """The inverse of `tell_judgement`."""
    findings = [
        Finding(**{**finding, "verdict": Verdict(finding["verdict"])})
        for finding in told["findings"]
    ]
    return Judgement(**{**told, "findings": tuple(findings)})


def _tell_tensor(tensor: TensorSpec) -> dict[str, Any]:
    told = {field.name: getattr(tensor, field.name) for field in fields(tensor)}
    return {**told, "dtype": tensor.dtype.name}


def _read_tensor(told: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(**{**told, "dtype": _dtype(told["dtype"]), "shape": tuple(told["shape"])})


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:  # bfloat16 and the like, which that module adds to numpy
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return dtype
