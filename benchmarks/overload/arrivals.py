"""Requests at random times, whatever becomes of them: `python -m benchmarks.overload.arrivals`.

Gets a socket's descriptor and what to send as JSON. Each request is a frame of the moment at which
it was due (the clock that all processes of a Linux machine share) and its priority. Prints by how
much it was late at worst, in seconds: an open loop that cannot keep up is none.
"""

import json
import socket
import sys
import time
from collections.abc import Mapping

import numpy as np

from trtasync.measure.loads import Open

FRAME = np.dtype([("due", "<f8"), ("priority", "u1")])

LEAD = 0.2
"""Seconds before the first request."""


def schedule(rates: Mapping[str, float], seconds: float, seed: int) -> np.ndarray:
    """Poisson arrivals of each priority at its rate (per second), as frames from 0 on."""
    parts = []
    for priority, rate in rates.items():
        due = Open(rate).schedule(rate, seconds, seed=10 * seed + int(priority))
        part = np.empty(len(due), FRAME)
        part["due"], part["priority"] = due, int(priority)
        parts.append(part)
    frames = np.concatenate(parts)
    return frames[np.argsort(frames["due"], kind="stable")]


def send(sock: socket.socket, frames: np.ndarray) -> float:
    """Send each frame when it is due; how late the latest one was, in seconds.

    No `Driver`: what is due goes in one call, so that this process has time for ten times as much
    as the other one can answer.
    """
    sent, worst = 0, 0.0
    due = frames["due"]
    while sent < len(frames):
        now = time.perf_counter()
        ready = int(np.searchsorted(due, now, "right"))
        if ready > sent:
            sock.sendall(frames[sent:ready].tobytes())
            worst = max(worst, time.perf_counter() - due[sent])
            sent = ready
        else:
            time.sleep(min(0.0005, due[sent] - now))
    return float(worst)


def main() -> None:
    """Send, close, say how late it was."""
    order = json.loads(sys.argv[2])
    frames = schedule(order["rates"], order["seconds"], order["seed"])
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        frames["due"] += time.perf_counter() + LEAD
        worst = send(sock, frames)
    print(worst)


if __name__ == "__main__":
    main()
