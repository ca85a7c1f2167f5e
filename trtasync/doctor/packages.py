"""The extras, and which of their packages are installed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

OURS = "trtasync"

GOOD_FOR = {
    "cpu": "models on the CPU",
    "cu13": "TensorRT, driver R580 or newer",
    "cu12": "TensorRT, driver R535 or newer",
    "rtx": "TensorRT for RTX",
    "build": "reading models, keeping plans",
    "cli": "this command line",
    "plot": "pictures of `bench` and `tune`",
    "server": "`trtasync serve`",
    "grpc": "its gRPC",
    "metrics": "Prometheus",
    "otel": "OpenTelemetry",
    "nvtx": "batches in Nsight Systems",
    "uvloop": "a faster event loop",
    "ray": "engines in Ray Serve",
}
"""The extras that users name; others are for developers."""

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^]]*)\])?(?P<versions>[^;]*)(?:;(?P<marker>.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_FLOOR = re.compile(r">=\s*(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of this library.

    Attributes:
        name: as in `pip install 'trtasync[NAME]'`.
        good_for: what it is good for, in a few words.
        installed: packages of it that are there, with their versions.
        missing: packages of it that are not, or are too old.
    """

    name: str
    good_for: str
    installed: dict[str, str]
    missing: list[str]


def extras(requirements: Sequence[str] | None = None) -> list[Extra]:
    """Each with what is there of it; none where this library is not installed itself.

    Args:
        requirements: as they stand in a package's metadata; None for this library's own.
    """
    told = _own() if requirements is None else requirements
    known = [_REQUIREMENT.match(each.strip()) for each in told]
    found = [match for match in known if match is not None]
    names = {extra for match in found for extra in _EXTRA.findall(match["marker"] or "")}
    return [_state(name, dict(_of(name, found))) for name in GOOD_FOR if name in names]


def _own() -> Sequence[str]:
    try:
        return metadata.requires(OURS) or ()
    except metadata.PackageNotFoundError:
        return ()


def _of(extra: str, requirements: Sequence[re.Match[str]]) -> Iterator[tuple[str, str]]:
    """Packages of an extra, those of extras within it too, and their lowest versions."""
    for match in requirements:
        if extra not in _EXTRA.findall(match["marker"] or ""):
            continue
        if match["name"] == OURS:
            for inner in match["extras"].split(","):
                yield from _of(inner.strip(), requirements)
        else:
            floor = _FLOOR.search(match["versions"])
            yield match["name"], floor[1] if floor else ""


def _state(name: str, floors: dict[str, str]) -> Extra:
    installed, missing = {}, []
    for package, floor in sorted(floors.items()):
        version = _version(package)
        if version and _numbers(version) >= _numbers(floor):
            installed[package] = version
        else:
            missing.append(f"{package}>={floor} (here is {version})" if version else package)
    return Extra(name, GOOD_FOR[name], installed, missing)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))
