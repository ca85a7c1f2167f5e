"""The lowest versions that pyproject.toml allows, as constraints for pip.

python -m tests.package.floors test bench > constraints.txt
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

Version = tuple[int, ...]

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,-]+)\])?\s*(?:[>=]=\s*(?P<floor>[\d.]+))?"
)


def floors(extras: Sequence[str], pyproject: Path = PYPROJECT) -> dict[str, str]:
    """Package -> the lowest version that is allowed.

    Args:
        extras: what is installed beside the package itself; those within them count as well.
        pyproject: the file that says.

    Raises:
        ValueError: a package has no lowest version.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found: dict[str, str] = {}
    asked = [*project["dependencies"], *(f"{project['name']}[{each}]" for each in extras)]
    for name, floor in _flat(asked, project["name"], project["optional-dependencies"]):
        if not floor:
            raise ValueError(f"{name} has no lowest version in {pyproject}.")
        found[name] = max(found.get(name, floor), floor, key=_numbers)
    return found


def _flat(
    asked: Sequence[str], project: str, extras: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    for requirement in asked:
        match = _REQUIREMENT.match(requirement)
        assert match is not None, requirement
        if match["name"] != project:
            yield match["name"], match["floor"] or ""
            continue
        for extra in match["extras"].split(","):
            yield from _flat(extras[extra], project, extras)


def _numbers(version: str) -> Version:
    return tuple(map(int, version.split(".")))


def main() -> None:
    """Write the constraints of the extras that are named."""
    for name, floor in sorted(floors(sys.argv[1:]).items()):
        sys.stdout.write(f"{name}=={floor}\n")


if __name__ == "__main__":
    main()
