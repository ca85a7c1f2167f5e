"""TensorRT for RTX from NVIDIA's wheels: a genuine builder and parser that need no GPU.

It lies in a folder of its own beside the environment's packages (the Makefile installs it there),
and nothing but `load` finds it: whatever looks for an installed TensorRT still finds none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

VERSION = "1.7.1.116"
"""The Makefile installs the same."""

FOLDER = Path(sys.prefix) / f"tensorrt-rtx-{VERSION}"
PACKAGE = "tensorrt_rtx"
"""Re-exports the bindings, and does nothing else."""

PACKAGES = ("tensorrt_rtx_libs", "tensorrt_rtx_bindings")
"""The libraries first: to import them loads what the bindings are linked to."""


def is_installed() -> bool:
    """Environments other than that of `make test` have it not."""
    return (FOLDER / PACKAGES[-1]).is_dir()


@cache
def load() -> Any:
    """The module that stands for `tensorrt`.

    Raises:
        FileNotFoundError: it is not installed.
    """
    if not is_installed():
        raise FileNotFoundError(
            f"TensorRT for RTX {VERSION} is not in {FOLDER}; `make test` installs it."
        )
    sys.path.insert(0, str(FOLDER))
    try:
        modules = [import_module(name) for name in PACKAGES]
    finally:
        sys.path.remove(str(FOLDER))
        for name in [each for each in sys.modules if each.split(".")[0] in PACKAGES]:
            del sys.modules[name]
    return modules[-1]


@contextmanager
def installed() -> Iterator[Any]:
    """Meanwhile the product finds it, under the name of its package.

    Raises:
        FileNotFoundError: it is not there to be found.
    """
    module = load()
    with patch.dict(sys.modules, {PACKAGE: module}):
        yield module
