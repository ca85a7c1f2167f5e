"""Commands that images and manifests run, read as the command line reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from tests.deploy.manifests import MANIFESTS, Manifest
from tests.deploy.recipe import entry, image
from trtasync.cli import app
from trtasync.server.program.process import PORT
from trtasync.server.program.settings import ServerSettings

ENTRY = entry(image("cpu")[-1])
TINI = ["tini", "--"]


@dataclass(frozen=True)
class Container:
    """One that runs our image.

    Attributes:
        where: file and name of its manifest.
        pod: its specification.
        told: the container's.
    """

    where: str
    pod: Manifest
    told: Manifest

    @property
    def words(self) -> Sequence[str]:
        """What it runs: its own command, or the image's, and its arguments."""
        return [*self.told.get("command", ENTRY), *self.told["args"]]

    @property
    def serves(self) -> bool:
        """It is a server."""
        return "command" not in self.told


def read(words: Sequence[str]) -> dict[str, Any]:
    """The parameters of a command, as it gets them; wrong options and values are refused."""
    first, rest = words[: len(TINI)], words[len(TINI) :]
    assert list(first) == TINI
    assert rest[0] == "trtasync"
    command = typer.main.get_command(app).commands[rest[1]]  # type: ignore[attr-defined]  # a group
    params: dict[str, Any] = command.make_context(rest[1], list(rest[2:])).params
    return params


def settings(params: dict[str, Any]) -> ServerSettings:
    """What a server is told by them of its life and its ports."""
    names = ("host", "port", "grpc_port", "workers", "grace", "drain")
    return ServerSettings(**{name: params[name] for name in names})


def ports(server: ServerSettings) -> set[int]:
    """Where it listens."""
    return {PORT if server.port is None else server.port} | (
        set() if server.grpc_port is None else {server.grpc_port}
    )


def containers() -> list[Container]:
    """All that run our image."""
    return [
        Container(f"{where}:{manifest['metadata']['name']}", pod, told)
        for where, manifest in MANIFESTS
        for pod in pods(manifest)
        for told in pod["containers"]
        if told["image"].startswith("trtasync:") and "args" in told
    ]


def pods(manifest: Manifest) -> list[Manifest]:
    """Specifications of pods, wherever they stand."""
    if "containers" in manifest:
        return [manifest]
    below = [each for each in manifest.values() if isinstance(each, (dict, list))]
    nested = [each for item in below for each in (item if isinstance(item, list) else [item])]
    return [pod for each in nested if isinstance(each, dict) for pod in pods(each)]
