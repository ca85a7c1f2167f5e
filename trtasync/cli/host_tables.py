"""What a host told of itself, as tables."""

from pathlib import Path
from typing import Any

from rich.console import Console

from trtasync.cli.tables import add_row, new_table, say, show_table
from trtasync.core.metrics import Statistics
from trtasync.shared.figures import statistics_from_plain
from trtasync.system.sizes import written_size


def show(console: Console, at: Path, told: dict[str, Any]) -> None:
    """Print it.

    Args:
        console: where to.
        at: the host's socket.
        told: by it.
    """
    words = f"process {told['pid']}, trtasync {told['version']}, for {told['uptime']:,.0f} s"
    say(console, f"{words}, at {at}", fold=True)
    table = new_table(
        console, "model", "requests", "answered", "failed", "queued", "rows a batch", "p50 ms"
    )
    for name, plain in told["models"].items():
        add_row(table, name, *_figures(statistics_from_plain(plain)))
    show_table(console, table)
    table = new_table(
        console, "client", "model", "requests", "failed", "under way", "slots", "memory"
    )
    for client in told["clients"]:
        counts = (client["requests"], client["failed"], client["in_flight"], client["slots"])
        add_row(
            table,
            f"process {client['pid']}",
            client["model"] or "(asks only)",
            *(f"{count:,}" for count in counts),
            written_size(client["bytes"]),
        )
    show_table(console, table)


def _figures(told: Statistics) -> list[str]:
    counts = (told.requests, told.answered, told.failed, told.queued)
    batch = told.rows / told.batches if told.batches else 0.0
    return [*(f"{count:,}" for count in counts), f"{batch:.1f}", f"{_median(told):.2f}"]


def _median(told: Statistics) -> float:
    """Milliseconds; 0 while nothing was answered."""
    return told.latency.quantile(0.5) * 1e3 if told.latency.count else 0.0
