"""A model on a server, for a benchmark."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trtasync.errors import InvalidInput
from trtasync.measure.machine import PACKAGES, record
from trtasync.measure.targets import Subject, Target
from trtasync.server.remote.messages import (
    Config,
    Metadata,
    Server,
    arrays_of,
    check,
    check_outputs,
    get,
    infer,
    read,
    specs_of,
)
from trtasync.server.remote.wire import Connections, read_url

SUFFIXES = {".onnx", ".plan", ".engine"}
"""Of files, which servers are not told."""


class Remote(Subject):
    """A model that a server of the Open Inference Protocol offers."""

    def __init__(self, url: str, model: str):
        """Not asked yet.

        Args:
            url: of the server.
            model: its name there, or NAME/versions/NUMBER.

        Raises:
            InvalidInput: `url` names no server, or `model` is a path of a file.
        """
        if Path(model).suffix in SUFFIXES:
            raise InvalidInput(
                f"with --url the model is named as the server names it, such as "
                f"'{Path(model).stem}'; got the path {model}.",
                name="model",
                got=model,
            )
        self._place = read_url(url)
        self._url = url
        self._model = model
        self._path = f"v2/models/{quote(model, safe='/:@+~')}"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Target]:
        """See `Subject.opened`."""
        connections = Connections(self._place)
        try:
            yield await self._ask_about(connections)
        finally:
            await connections.aclose()

    async def _ask_about(self, connections: Connections) -> Target:
        async def tell(path: str, kind: Any) -> Any:
            return read(await connections.ask(get(self._place, path)), kind)

        server = await tell("v2", Server)
        metadata = await tell(self._path, Metadata)
        config = Config()
        with suppress(InvalidInput):  # which only Triton and its likes have
            config = await tell(f"{self._path}/config", Config)
        specs = specs_of(metadata, takes_batches=config.max_batch_size > 0)
        is_checked = False

        async def ask(request: bytes) -> None:
            nonlocal is_checked
            answer = await connections.ask(request)
            if is_checked:
                check(answer)
            else:
                check_outputs(answer)
                is_checked = True

        about = record(PACKAGES)
        about["hardware"]["gpus"] = []
        return Target(
            model=self._model,
            backend=f"{server.name} {server.version} at {self._url}",
            about=about,
            inputs=specs,
            infer=ask,
            prepare=lambda request: infer(self._place, self._path, arrays_of(specs, request)),
            parameters={"url": self._url, "platform": metadata.platform},
        )
