"""`python -m support.doubles.child module:function arguments`: call a function over the doubles.

For tests of several processes. The function gets the arguments as strings; what it needs of the
doubles it finds with `support.doubles.trt_builds.current()` and `support.doubles.world.current()`.
What it returns is printed as JSON. Environment variables are those of `trt_builder`, and these:

    TRTASYNC_DOUBLE_VERSION     see `doubles.surface`
    TRTASYNC_DOUBLE_GPU         name of the GPU
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

from support import doubles

ROOT = Path(__file__).parents[2]


def command(target: str, *arguments: object) -> list[str]:
    """What to give `subprocess.Popen`, with `cwd=ROOT`."""
    return [sys.executable, "-m", "support.doubles.child", target, *map(str, arguments)]


def main(target: str, *arguments: str) -> None:
    """Call it."""
    module, _, function = target.partition(":")
    version = os.environ.get("TRTASYNC_DOUBLE_VERSION", "11.4.0.106")
    gpu = os.environ.get("TRTASYNC_DOUBLE_GPU", "Double GPU")
    with doubles.install(version=version, gpu=gpu):
        result = getattr(import_module(module), function)(*arguments)
        json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
