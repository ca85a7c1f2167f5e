"""TensorRT and TensorRT for RTX: what tells the two apart, known without either."""

import os
from dataclasses import dataclass
from typing import Final

from trtasync.errors import InvalidInput

VARIABLE: Final = "TRTASYNC_TENSORRT"
"""The environment variable that insists on a flavour, by its name."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of NVIDIA's two libraries of the same interface; their plans are not each other's.

    Attributes:
        name: in options and in the environment.
        title: in messages.
        magic: what its plans begin with.
        modules: tried in this order: the packages, then the bindings alone (beside libraries of the
            system). The lean runtime runs version-compatible plans only.
        install: how to get it.
        needs: the same with what else that takes.
    """

    name: str
    title: str
    magic: bytes
    modules: tuple[str, ...]
    install: str
    needs: str

    @property
    def is_rtx(self) -> bool:
        """TensorRT for RTX."""
        return self is RTX


TENSORRT: Final = Flavour(
    name="tensorrt",
    title="TensorRT",
    magic=b"ftrt",
    modules=("tensorrt", "tensorrt_lean", "tensorrt_bindings", "tensorrt_lean_bindings"),
    install="pip install 'trtasync[cu13]'",
    needs=(
        "pip install 'trtasync[cu13]' (driver R580 or newer) or 'trtasync[cu12]' (driver R535 or "
        "newer); its libraries come from NVIDIA's own package index"
    ),
)

RTX: Final = Flavour(
    name="rtx",
    title="TensorRT for RTX",
    magic=b"vtrt",
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    install="pip install 'trtasync[rtx]'",
    needs="pip install 'trtasync[rtx]'",
)

FLAVOURS: Final = (TENSORRT, RTX)
"""In the order in which they are tried where nobody insists on one."""


def insisted() -> Flavour | None:
    """The flavour that the environment insists on, if it does.

    Raises:
        InvalidInput: there is no such flavour.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        return None
    for flavour in FLAVOURS:
        if flavour.name == name:
            return flavour
    raise InvalidInput(f"{VARIABLE} must be 'tensorrt' or 'rtx', not {name!r}.")


def chosen(flavour: Flavour | None) -> Flavour | None:
    """The only flavour that will do: what the code names, or else what the environment insists on;
    None where neither does.

    Raises:
        InvalidInput: the environment insists on one that there is not, whatever the code names.
    """
    named = insisted()
    return flavour or named


def of_backend(backend: str) -> Flavour | None:
    """The flavour that `backend=` insists on; "tensorrt" leaves it open."""
    return RTX if backend == "tensorrt-rtx" else None


def of_plan(head: bytes) -> Flavour | None:
    """The flavour that built a plan, by its first bytes; None where they tell of none."""
    return next((each for each in FLAVOURS if head.startswith(each.magic)), None)
