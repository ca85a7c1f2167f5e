"""The differences between TensorRT and TensorRT for RTX, known without importing either."""

import os
from dataclasses import dataclass
from typing import Final

from trtasync.errors import InvalidInput

VARIABLE: Final = "TRTASYNC_TENSORRT"
"""The environment variable that selects a flavour by name."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of NVIDIA's two libraries with the same interface, whose plans are not interchangeable.

    Attributes:
        name: its name in options and in the environment.
        title: its name in messages.
        magic: the first bytes of its plans.
        modules: modules to import, in this order: the packages, then the bindings alone (with
            system libraries). The lean runtime only runs version-compatible plans.
        install: how to install it.
        needs: the same, with its other requirements.
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
"""All flavours, in the order in which they are tried by default."""


def insisted() -> Flavour | None:
    """The flavour that the environment selects, if any.

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
    """The required flavour: the one that the code names, or else the one that the environment
    selects; None if neither does.

    Raises:
        InvalidInput: the environment selects one that does not exist, whatever the code names.
    """
    named = insisted()
    return flavour or named


def of_backend(backend: str) -> Flavour | None:
    """The flavour that `backend=` selects; "tensorrt" allows both."""
    return RTX if backend == "tensorrt-rtx" else None


def of_plan(head: bytes) -> Flavour | None:
    """The flavour that built a plan, by its first bytes; None if they match neither."""
    return next((each for each in FLAVOURS if head.startswith(each.magic)), None)
