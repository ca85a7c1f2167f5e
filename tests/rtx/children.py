"""What a child with the genuine builder does; see `tests.genuine.process`."""

import subprocess
from pathlib import Path
from typing import Any

import anyio

from trtasync import BuilderConfig, BuildError, build_plan

ADA = BuilderConfig(compute_capabilities=["8.9"])


def build_on_a_disk_that_becomes_read_only(model: str, disk: str) -> dict[str, Any]:
    """Builds whose cache, and whose output, is on a disk, before and after it is read-only."""
    subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
    there = Path(disk)
    places: list[dict[str, Any]] = [
        {"cache": there / "cache"},
        {"cache": there.parent / "cache", "output": there / "m.plan"},
    ]
    writable = [_said(model, **options) for options in places]
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return {"writable": writable, "read-only": [_said(model, **options) for options in places]}


def _said(model: str, **options: Any) -> str:
    """What a build says, or whether it was one."""

    async def main() -> str:
        try:
            plan = await build_plan(model, builder_config=ADA, **options)
            return "cached" if plan.cached else "built"
        except BuildError as error:
            return str(error)

    return anyio.run(main)
