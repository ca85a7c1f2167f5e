"""What TensorRT's Python bindings offer, read from the genuine wheels without a GPU.

The bindings' wheels hold Python's side only and need TensorRT's libraries, which are gigabytes. For
looking at names and signatures a stub of these libraries is enough (`stub.c`). Those of TensorRT
for RTX come with libraries that load on any machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.genuine import library

VERSIONS = ("10.16.1.11", "11.4.0.106")
"""The newest of each major version; the Makefile installs the same."""

HERE = Path(__file__).parent
LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")


@dataclass(frozen=True)
class Parameter:
    name: str
    required: bool = True


Overload = tuple[Parameter, ...]


@dataclass(frozen=True)
class Member:
    """A name in a class or module.

    Attributes:
        kind: "method", "property", "value" (an enum's member, a constant) or "class".
        overloads: What it takes when called, without `self`; for a class, what `__init__` takes.
        number: Of an enum's member; None for anything else.
    """

    kind: str
    overloads: tuple[Overload, ...] = ()
    number: int | None = None


@dataclass(frozen=True)
class Owner:
    """A class, or the module itself.

    Attributes:
        members: Its public names, and a few dunders.
        doc: Its docstring.
        subclassable: Whether a subclass can be made without arguments.
    """

    members: Mapping[str, Member]
    doc: str = ""
    subclassable: bool = False


@dataclass(frozen=True)
class Bindings:
    """What one version offers; `owners` by dotted name, "" being the module."""

    version: str
    owners: Mapping[str, Owner]


def accepts(overload: Overload, names: Iterable[str]) -> bool:
    """Whether it can be called with just these, named so and in this order."""
    wanted = list(names)
    given, rest = overload[: len(wanted)], overload[len(wanted) :]
    return [each.name for each in given] == wanted and not any(each.required for each in rest)


def written(overload: Overload) -> str:
    """For messages: `(name, profile_index=)`."""
    return f"({', '.join(each.name + ('' if each.required else '=') for each in overload)})"


def read(version: str, folder: Path) -> Bindings:
    """Load one version in a process of its own, over libraries made in `folder`."""
    wheel = Path(sys.prefix) / f"tensorrt-{version}"
    if not (wheel / "tensorrt_bindings").is_dir():
        raise FileNotFoundError(
            f"The bindings of TensorRT {version} are not in {wheel}; `make test` installs them."
        )
    _make_libraries(version.split(".")[0], folder)
    return _dump("tensorrt_bindings", wheel, LD_LIBRARY_PATH=str(folder))


def read_rtx() -> Bindings:
    """Those of TensorRT for RTX, over its own libraries, in a process of its own."""
    library.load()  # says how to get it
    return _dump(library.PACKAGES[-1], library.FOLDER)


def _dump(module: str, path: Path, **environment: str) -> Bindings:
    # -P: the modules in this folder are not for the bindings to find
    command = [sys.executable, "-P", str(HERE / "dump.py"), module]
    dump = _run(command, {**os.environ, "PYTHONPATH": str(path), **environment})
    return _bindings(json.loads(dump))


def _make_libraries(major: str, folder: Path) -> None:
    """One stub under each library's name: the loader goes by the name that is compiled in."""
    for each in LIBRARIES:
        name = f"{each}.so.{major}"
        arguments = ["-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name)]
        _run(["gcc", *arguments, str(HERE / "stub.c")], os.environ)


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _bindings(dump: dict[str, Any]) -> Bindings:
    owners = {name: _owner(each) for name, each in dump["classes"].items()}
    return Bindings(dump["version"], owners)


def _owner(dump: dict[str, Any]) -> Owner:
    members = {name: _member(each) for name, each in dump["members"].items()}
    return Owner(members, dump["doc"], dump["subclassable"])


def _member(dump: dict[str, Any]) -> Member:
    overloads = (tuple(Parameter(**each) for each in one) for one in dump["overloads"])
    return Member(dump["kind"], tuple(overloads), dump.get("number"))
