"""`python -m tests.genuine.process module:function arguments`: over NVIDIA's own builder.

As `support.doubles.child`, whose words these are: what the function returns is printed as JSON, and
the environment variable TRTASYNC_DOUBLE_LOG names a file for the beginning and end of each build.
"""

import json
import sys
from importlib import import_module

from tests.genuine import library
from tests.genuine.machines import machine_with


def command(target: str, *arguments: object) -> list[str]:
    """What to give `subprocess.Popen`, with the repository's root for `cwd`."""
    return [sys.executable, "-m", "tests.genuine.process", target, *map(str, arguments)]


def main(target: str, *arguments: str) -> None:
    """Call it."""
    module, _, function = target.partition(":")
    with machine_with(library.PACKAGE):
        json.dump(getattr(import_module(module), function)(*arguments), sys.stdout, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
