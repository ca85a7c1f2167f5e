"""Requests at random times, regardless of answers: `python -m benchmarks.overload.arrivals`.

Gets a socket's descriptor and what to send as JSON. Each request is a frame with the time at which
it was due (by the clock that all processes of a Linux machine share) and its priority. Prints its
worst lateness in seconds: an open loop that cannot keep up is not an open loop.
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
    """Send each frame when it is due; return the worst lateness in seconds.

    Not a `Driver`: everything due is sent in one call, so that this process can send ten times as
    much as the other one can answer.
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
    """Send, close, and print the lateness."""
    order = json.loads(sys.argv[2])
    frames = schedule(order["rates"], order["seconds"], order["seed"])
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        frames["due"] += time.perf_counter() + LEAD
        worst = send(sock, frames)
    print(worst)


if __name__ == "__main__":
    main()
