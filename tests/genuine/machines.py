"""Machines that can build: with a double of TensorRT, or with NVIDIA's own builder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from unittest.mock import patch

import pytest

from support import doubles
from support.doubles import trt_builds
from support.doubles.world import World
from tests.genuine import library

GENUINE = pytest.param(library.PACKAGE, marks=pytest.mark.genuine_builder)
"""In place of a double's version; wherever plans are built, and none is opened."""


class BuildCounts(Protocol):
    """How many builds have begun, made a plan, and made none."""

    started: int
    finished: int
    failed: int


class Machine(Protocol):
    """One with a GPU, which a builder of any kind can stand on. It has no knobs, other than
    `doubles.Installed`, which is one of these.

    Attributes:
        world: its CUDA, a double.
        trt: the TensorRT that the product finds.
        builds: what was built since.
    """

    world: World
    trt: Any

    @property
    def builds(self) -> BuildCounts: ...


@dataclass
class Counted:
    """Builds of the genuine builder; see `BuildCounts`."""

    started: int = 0
    finished: int = 0
    failed: int = 0


@dataclass
class Genuine:
    """A machine with the genuine builder; see `Machine`."""

    world: World
    trt: Any
    builds: Counted


@contextmanager
def machine_with(version: str) -> Iterator[Machine]:
    """Let the product find a double of this version, or the genuine builder."""
    if version != library.PACKAGE:
        with doubles.install(version=version) as installed:
            yield installed
        return
    if not library.is_installed():
        pytest.skip("TensorRT for RTX is not there; `make test` fetches it")
    nothing = {"tensorrt": None, "tensorrt_lean": None}  # an ImportError
    with (
        doubles.install(gpu="NVIDIA L4", capability=(8, 9)) as cuda,
        patch.dict(sys.modules, nothing),
        library.installed() as trt,
        _counted(trt.Builder) as builds,
    ):
        yield Genuine(cuda.world, trt, builds)


@contextmanager
def _counted(builder: Any) -> Iterator[Counted]:
    """Count what a class of builders builds, and note it where the doubles do."""
    counts, build = Counted(), builder.build_serialized_network

    def counting(self: Any, network: Any, config: Any) -> Any:
        counts.started += 1
        trt_builds.note(f"start {os.getpid()} {network.name}")
        plan = build(self, network, config)
        counts.finished += plan is not None
        counts.failed += plan is None
        how = "failed" if plan is None else "end"
        trt_builds.note(f"{how} {os.getpid()} {network.name}")
        return plan

    with patch.object(builder, "build_serialized_network", counting):
        yield counts
