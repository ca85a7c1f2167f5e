"""Serving engines that the calling process opened itself."""

import os
from collections.abc import Mapping

import anyio
from anyio.abc import TaskStatus

from trtasync.engine import Engine
from trtasync.errors import InvalidInput
from trtasync.host.limits import default_limits
from trtasync.host.models import Model
from trtasync.host.service import Service


async def serve(
    engines: Mapping[str, Engine],
    path: str | os.PathLike[str],
    *,
    stop: anyio.Event | None = None,
    bytes_per_client: int | None = None,
    total_bytes: int | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve open engines to other processes of this user, which `trtasync.connect` to them.

    Call it in the event loop that opened the engines. This process may use them as well, and closes
    them when this has ended. `await group.start(serve, engines, path)` returns when clients can
    connect.

    Args:
        engines: by the names that clients use.
        path: of the socket, in a folder that others cannot write to, created if missing.
        stop: set to end it: what was accepted is answered first. If it is cancelled instead,
            requests in flight fail.
        bytes_per_client: memory that one client may share. Default: `total_bytes`.
        total_bytes: memory that all clients may share. Default: half of what is free now.
        task_status: started when clients can connect; see `anyio.abc.TaskGroup.start`.

    Raises:
        InvalidInput: there are no engines, or the socket cannot be created.
        DeviceLost: an engine has lost its device. Its clients were told.
    """
    if not engines:
        raise InvalidInput("there are no engines to serve.")
    limits = default_limits(bytes_per_client=bytes_per_client, total_bytes=total_bytes)
    service = Service([Model(name, engine) for name, engine in engines.items()], limits)
    service.listen(os.fspath(path))
    async with anyio.create_task_group() as group:
        if stop is not None:
            group.start_soon(_stop_at, stop, service)
        task_status.started()
        await service.serve()
        group.cancel_scope.cancel()
    if service.lost is not None:
        raise service.lost


async def _stop_at(stop: anyio.Event, service: Service) -> None:
    await stop.wait()
    service.stop()
