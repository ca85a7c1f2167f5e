"""The file that says what is served.

[server]                      # as the options of `trtasync serve`, which have the last word
port = 8000
workers = 4

[[models]]
path = "digits.onnx"          # as seen from this file
max_batch_size = 64           # and whatever else `open_engine` takes

[[models]]
name = "digits"
version = 2
path = "better.onnx"

[aliases]
stable = { model = "digits", version = 1 }
newest = "digits"
"""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from trtasync.errors import InvalidInput
from trtasync.server.models import Models
from trtasync.server.program.settings import (
    EngineSettings,
    Offer,
    Served,
    ServerSettings,
    Target,
    Version,
    Wanted,
    absolute,
    added,
)

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", re.DOTALL)
"""How msgspec says what is wrong, and where."""

_WORDS = {
    "`": "",
    " | null": "",
    "Object contains": "this table contains",
    "Object missing": "this table lacks the",
    "object": "table",
    "array": "list",
    " | ": " or ",
}
"""Its words, and the words of TOML for them."""


class ModelSettings(EngineSettings, kw_only=True, forbid_unknown_fields=True):
    """One of [[models]].

    Attributes:
        path: the path of its file.
        name: its name for clients; None for the file's name without suffix.
        version: its version.
    """

    path: str
    name: str | None = None
    version: Version = 1


class ConfigFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    models: list[ModelSettings]
    aliases: dict[str, str | Target] = {}


def read_config(path: Path, server: ServerSettings, engine: EngineSettings) -> Wanted:
    """Read what a file wants to be served.

    Args:
        path: the path of the file.
        server: settings from elsewhere, which override the file's.
        engine: settings for models, which the file's override.

    Raises:
        InvalidInput: the file cannot be read, or makes no sense; the message names the place.
    """
    try:
        told = msgspec.convert(tomllib.loads(path.read_text()), ConfigFile)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{path}: {_said(error)}.") from error
    if not told.models:
        raise InvalidInput(f"{path}: models is empty; say which models to serve.")
    for name in ("tls_cert", "tls_key", "token_file"):
        setattr(told.server, name, absolute(path.parent, getattr(told.server, name)))
    wanted = Wanted(
        ServerSettings(**added(server, msgspec.structs.asdict(told.server))),
        Offer(
            [_served(path.parent, each, engine) for each in told.models],
            {
                alias: Target(target) if isinstance(target, str) else target
                for alias, target in told.aliases.items()
            },
        ),
    )
    with _at(f"{path}: server"):
        check_server(wanted.server)
    _check(path, wanted.offer)
    return wanted


def offer_of(paths: list[Path], engine: EngineSettings) -> Offer:
    """Offer models by the names of their files.

    Args:
        paths: the paths of these, at least one.
        engine: how the models are opened.

    Raises:
        InvalidInput: two have one name, or an option makes no sense.
    """
    engine.cache_dir = absolute(Path(), engine.cache_dir)
    served = [Served(path.stem, 1, str(path.absolute()), engine) for path in paths]
    offer = Offer(served)
    models = Models()
    served[0].check()  # as all of them
    for path, each in zip(paths, served, strict=True):
        try:
            _add(models, each)
        except InvalidInput as error:
            raise InvalidInput(
                f"{path}: {error} Names can be given in a file (--config)."
            ) from error
    return offer


def check_server(server: ServerSettings) -> None:
    """Refuse settings that make no sense, before anything is opened.

    Raises:
        InvalidInput: a time or a size is invalid, or one of the two files for TLS is missing.
    """
    _ = server.limits, server.grace_seconds, server.hang_seconds
    if (server.tls_cert is None) is not (server.tls_key is None):
        raise InvalidInput("TLS needs a certificate and its key (tls_cert, tls_key); give both.")


def _served(folder: Path, told: ModelSettings, engine: EngineSettings) -> Served:
    said = msgspec.structs.asdict(told)
    path, name, version = said.pop("path"), said.pop("name"), said.pop("version")
    own = EngineSettings(**said)
    own.cache_dir = absolute(folder, own.cache_dir)
    return Served(
        name or Path(path).stem,
        version,
        absolute(folder, path) or "",
        EngineSettings(**added(own, msgspec.structs.asdict(engine))),
    )


def _check(path: Path, offer: Offer) -> None:
    """Check names, versions, options and aliases as the server will."""
    models = Models()
    for at, each in enumerate(offer.models):
        with _at(f"{path}: models[{at}]"):
            each.check()
            _add(models, each)
    for alias, target in offer.aliases.items():
        with _at(f"{path}: aliases.{alias}"):
            models.alias(alias, target.model, target.version)


def _add(models: Models, served: Served) -> None:
    models.add(served.name, _never, version=served.version)


async def _never() -> Any:
    raise AssertionError


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from error


def _said(error: msgspec.ValidationError) -> str:
    """What is wrong, after the place where it is."""
    found = _PLACE.fullmatch(str(error))
    assert found is not None  # everything matches
    words, place = found.groups()
    for theirs, ours in _WORDS.items():
        words = words.replace(theirs, ours)
    words = words[:1].lower() + words[1:]
    place = (place or "").replace("[...]", "")
    return f"{place}: {words}" if place else words
