"""What every serving process does: log, raise its descriptor limit, notify its manager."""

import faulthandler
import logging
import resource
from contextlib import suppress
from typing import Any

import anyio

from trtasync.host.notify import notify, watchdog_seconds

log: logging.Logger = logging.getLogger("trtasync")


def log_to_stderr() -> None:
    """Log from INFO on, one line per record, with the time; and the stacks of all threads on
    SIGABRT, with which a supervisor ends a hanging process."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    log.setLevel(logging.INFO)
    if not faulthandler.is_enabled():
        with suppress(RuntimeError, AttributeError, ValueError):  # stderr is no file
            faulthandler.enable()


def want_descriptors() -> None:
    """Raise the limit of descriptors, one per client, as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def name_process(title: str) -> None:
    """Name the process for `ps` and `top`, if `setproctitle` is installed."""
    with suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)


def asyncio_options() -> dict[str, Any]:
    """Options for `anyio.run`: asyncio, on uvloop if that is installed."""
    try:
        __import__("uvloop")
    except ImportError:
        has_uvloop = False
    else:
        has_uvloop = True
    return {"backend": "asyncio", "backend_options": {"use_uvloop": has_uvloop}}


async def tell_watchdog() -> None:
    """Notify the watchdog from the event loop, so that the manager notices if that stops."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(seconds / 2)
