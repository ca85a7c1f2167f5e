"""A model on a server, for a benchmark."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.measure.machine import PACKAGES, record
from trtasync.measure.targets import Subject, Target
from trtasync.server.remote.offers import Client, Config, arrays_of, specs_of
from trtasync.server.remote.over_http import OverHttp
from trtasync.server.remote.places import read_url

SUFFIXES = {".onnx", ".plan", ".engine"}
"""Suffixes of model files, whose paths mean nothing to a server."""


class Remote(Subject):
    """A model that a server of the Open Inference Protocol offers."""

    def __init__(self, url: str, model: str, token: str = ""):
        """Not asked yet.

        Args:
            url: of the server.
            model: its name there, or NAME/versions/NUMBER.
            token: is shown to be let in; empty for none.

        Raises:
            InvalidInput: `url` names no server, or `model` is the path of a file.
        """
        if Path(model).suffix in SUFFIXES:
            raise InvalidInput(
                f"with --url the model is named as the server names it, such as "
                f"'{Path(model).stem}'; got the path {model}.",
                name="model",
                got=model,
            )
        self._place = read_url(url, token)
        self._url = url
        self._model = model

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Target]:
        """See `Subject.opened`."""
        client = self._client()
        try:
            yield await self._ask_about(client)
        finally:
            await client.aclose()

    def _client(self) -> Client:
        if not self._place.scheme.startswith("grpc"):
            return OverHttp(self._place, self._model)
        try:
            from trtasync.server.remote.over_grpc import OverGrpc
        except ModuleNotFoundError as error:
            raise BackendUnavailable(
                f"{self._url} needs pip install 'trtasync[grpc]' ({error})."
            ) from error
        return OverGrpc(self._place, self._model)

    async def _ask_about(self, client: Client) -> Target:
        server = await client.server()
        metadata = await client.metadata()
        config = Config()
        with suppress(InvalidInput):  # only Triton and servers like it have one
            config = await client.config()
        specs = specs_of(metadata, takes_batches=config.max_batch_size > 0)
        about = record(PACKAGES)
        about["hardware"]["gpus"] = []
        return Target(
            model=self._model,
            backend=f"{server.name} {server.version} at {self._url}",
            about=about,
            inputs=specs,
            infer=client.infer,
            prepare=lambda request: client.request(arrays_of(specs, request)),
            parameters={"url": self._url, "platform": metadata.platform},
        )
