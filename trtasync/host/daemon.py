"""What every process does that serves: it logs, takes descriptors, and tells its manager."""

import faulthandler
import logging
import resource
from contextlib import suppress
from typing import Any

import anyio

from trtasync.host.notify import notify, watchdog_seconds

log: logging.Logger = logging.getLogger("trtasync")


def log_to_stderr() -> None:
    """From INFO on, a line each, with its time; and the stacks of all threads when the process is
    ended by SIGABRT, as who looks after it does when it hangs."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    log.setLevel(logging.INFO)
    if not faulthandler.is_enabled():
        faulthandler.enable()


def want_descriptors() -> None:
    """One for each client: as many as the system lets this user have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def name_process(title: str) -> None:
    """So that `ps` and `top` tell it from others, where `setproctitle` is installed."""
    with suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)


def asyncio_options() -> dict[str, Any]:
    """For `anyio.run`: asyncio, on uvloop where that is installed."""
    try:
        __import__("uvloop")
    except ImportError:
        has_uvloop = False
    else:
        has_uvloop = True
    return {"backend": "asyncio", "backend_options": {"use_uvloop": has_uvloop}}


async def tell_watchdog() -> None:
    """From the event loop: where that stands still, the manager shall see it."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(seconds / 2)
