"""Back-off: hosts that keep ending are restarted more and more rarely, by whomever."""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path

from trtasync.system.stopping import go_on

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds between two starts by whomever: they double, and begin anew when none was needed for
`HEALTHY` seconds."""

HEALTHY = 60.0


def note_start(starts: Path) -> None:
    """Record that a host is started now; only with the lock."""
    count, last = _starts(starts)
    count = count + 1 if time.time() - last < HEALTHY else 1
    with suppress(OSError):  # a full disk is no reason to refuse an engine
        starts.write_text(json.dumps([count, time.time()]))


def pause_between_starts(starts: Path, stop: threading.Event) -> None:
    """Wait until a host may be started.

    Raises:
        Stopped: because `stop` was set.
    """
    count, last = _starts(starts)
    pause = min(FIRST_PAUSE * 2 ** min(count, 20), LONGEST_PAUSE) if count else 0.0
    stop.wait(min(max(0.0, last + pause - time.time()), LONGEST_PAUSE))
    go_on(stop)


def _starts(path: Path) -> tuple[int, float]:
    """The number of consecutive starts, and when the last one was (seconds since 1970)."""
    try:
        count, last = json.loads(path.read_text())
        return int(count), float(last)
    except (OSError, ValueError, TypeError):
        return 0, 0.0
