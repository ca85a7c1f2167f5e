"""The manifests in `deploy`."""

from pathlib import Path
from typing import Any

import yaml

from tests.deploy.recipe import DEPLOY

SCHEMAS = Path(__file__).with_name("schemas.json")
"""See `tests.deploy.distil`."""

Manifest = dict[str, Any]


def _read() -> list[tuple[str, Manifest]]:
    return [
        (path.relative_to(DEPLOY).as_posix(), manifest)
        for path in sorted(DEPLOY.rglob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
    ]


MANIFESTS: list[tuple[str, Manifest]] = _read()
"""All of them, and the file of each."""


def kind_of(manifest: Manifest) -> str:
    """Group, version and kind."""
    return f"{manifest['apiVersion']}/{manifest['kind']}"


def one(kind: str, name: str) -> Manifest:
    """The manifest of a kind and a name."""
    found = [
        each for _, each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]
