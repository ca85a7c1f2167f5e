"""Statistics while under load, as a live table. `python -m examples.live_statistics`."""

from pathlib import Path

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table

import trtasync
from examples.digit_lines import lines

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"
SECONDS = 2.0
CALLERS = 64


def table(seen: trtasync.Statistics) -> Table:
    """What a dashboard would show."""
    shown = Table("", "value", title="engine.statistics()", min_width=60)
    shown.add_row("answered", f"{seen.answered:,}")
    shown.add_row("queued / in flight (rows)", f"{seen.queued} / {seen.in_flight}")
    shown.add_row("rows per batch", f"{seen.rows / max(1, seen.batches):.1f}")
    for name, times in (("latency", seen.latency), ("queue", seen.queue), ("model", seen.compute)):
        p50, p99 = (times.quantile(q) * 1000 for q in (0.5, 0.99))
        shown.add_row(f"{name} p50 / p99", f"{p50:.2f} / {p99:.2f} ms")
    ended = f"{seen.cancelled} / {seen.rejected} / {seen.failed}"
    shown.add_row("cancelled / rejected / failed", ended)
    shown.add_row("batches run on the loop", f"{sum(stream.on_loop for stream in seen.streams):,}")
    return shown


async def main() -> None:
    """Put load on an engine and watch it."""
    images = [line.image for line in lines(200)]
    console = Console()
    async with (
        trtasync.open_engine(MODEL, max_batch_size=16) as engine,
        anyio.create_task_group() as tasks,
    ):

        async def caller(start: int) -> None:
            index = start
            while True:
                await engine.infer(images[index % len(images)])
                index += 1

        for start in range(CALLERS):
            tasks.start_soon(caller, start)
        # A terminal gets a live table; a file gets the last one.
        with Live(console=console, auto_refresh=False) as live:
            for _ in range(10):
                await anyio.sleep(SECONDS / 10)
                live.update(table(engine.statistics()), refresh=console.is_terminal)
        console.print()
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
