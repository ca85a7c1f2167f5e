"""A host whose device is lost in the first run, and whose model does not close."""

import sys
import threading

from tests.host.serving import LIMITS
from trtasync.host.process import Wanted, run
from trtasync.measure.opened import read_options
from trtasync.testing import ScriptedBackend


class Stuck(ScriptedBackend):
    """Loses its device, and hangs when it is closed."""

    def close(self) -> None:
        """Does not come back."""
        threading.Event().wait()


def main(path: str) -> None:
    """Serve it at a path."""
    backend = Stuck()
    backend.lose = True
    wanted = Wanted([read_options(backend, {"name": "stuck"})], path, LIMITS)
    run(wanted, _say_ready)


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
