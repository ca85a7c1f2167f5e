"""What a Dockerfile says, stage by stage."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents.running import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_STAGE = re.compile(r"(?P<base>\S+)(?: AS (?P<name>\S+))?")


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile, continued ones joined.

    Attributes:
        word: in capitals, such as RUN.
        value: what follows it.
    """

    word: str
    value: str


@dataclass
class Stage:
    """What is done from one FROM to the next.

    Attributes:
        base: the image that it begins with.
        name: by which others copy from it; "" if nobody does.
        instructions: in their order.
    """

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> str:
        """The value of the last instruction of a kind."""
        return [each.value for each in self.instructions if each.word == word][-1]


def stages(text: str, arguments: Mapping[str, str]) -> list[Stage]:
    """The stages of a Dockerfile, built with these arguments; those that it does not know are
    refused, as Docker warns of them only."""
    known: dict[str, str] = {}
    found: list[Stage] = []
    asked = set()
    for each in _instructions(text):
        if each.word == "ARG":
            name, _, usual = each.value.partition("=")
            known[name] = arguments.get(name, usual)
            asked.add(name)
            continue
        filled = _VARIABLE.sub(lambda variable: known[variable[1]], each.value)
        if each.word == "FROM":
            stage = _STAGE.fullmatch(filled)
            assert stage is not None, filled
            found.append(Stage(stage["base"], stage["name"] or ""))
        else:
            found[-1].instructions.append(Instruction(each.word, filled))
    assert asked >= arguments.keys(), f"nobody asks for {arguments.keys() - asked}"
    return found


def entry(stage: Stage) -> Sequence[str]:
    """The command that its image is."""
    words: list[str] = json.loads(stage.last("ENTRYPOINT"))
    return words


def bakes() -> Mapping[str, Mapping[str, str]]:
    """The arguments of all images, by their names."""
    told = json.loads((DEPLOY / "docker-bake.json").read_text())
    for target in told["target"].values():
        assert ROOT / target["dockerfile"] == DOCKERFILE
    return {name: target["args"] for name, target in told["target"].items()}


def image(name: str) -> list[Stage]:
    """How one of the images is made."""
    return stages(DOCKERFILE.read_text(), bakes()[name])


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, value = line.partition(" ")
            yield Instruction(word, " ".join(value.split()))


def copied(value: str) -> tuple[str, list[Path], Path]:
    """Of a COPY: from which stage ("" for the build's context), what, and where to."""
    source = ""
    if value.startswith("--from="):
        source, _, value = value.removeprefix("--from=").partition(" ")
    *what, where = map(Path, value.split())
    return source, what, where
