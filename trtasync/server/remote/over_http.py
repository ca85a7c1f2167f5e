"""A model on a server, over HTTP."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trtasync.model.arrays import Array
from trtasync.server.remote.messages import check, check_outputs, get, infer, read
from trtasync.server.remote.offers import Config, Metadata, Server
from trtasync.server.remote.places import Place
from trtasync.server.remote.wire import Connections


class OverHttp:
    """See `offers.Client`. There are as many connections as there were requests at once."""

    def __init__(self, place: Place, model: str):
        """For the model that has this name there, or NAME/versions/NUMBER."""
        self._place = place
        self._path = f"v2/models/{quote(model, safe='/:@+~')}"
        self._connections = Connections(place)
        self._is_checked = False

    async def server(self) -> Server:
        """See `offers.Client`."""
        told: Server = await self._tell("v2", Server)
        return told

    async def metadata(self) -> Metadata:
        """See `offers.Client`."""
        told: Metadata = await self._tell(self._path, Metadata)
        return told

    async def config(self) -> Config:
        """See `offers.Client`."""
        told: Config = await self._tell(f"{self._path}/config", Config)
        return told

    async def _tell(self, path: str, kind: Any) -> Any:
        return read(await self._connections.ask(get(self._place, path)), kind)

    def request(self, inputs: Mapping[str, Array]) -> bytes:
        """See `offers.Client`."""
        return infer(self._place, self._path, inputs)

    async def infer(self, request: bytes) -> None:
        """See `offers.Client`."""
        answer = await self._connections.ask(request)
        if self._is_checked:
            check(answer)
        else:
            check_outputs(answer)
            self._is_checked = True

    async def aclose(self) -> None:
        """See `offers.Client`."""
        await self._connections.aclose()
