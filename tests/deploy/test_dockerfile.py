"""The recipe of the images; `make nightly-image` executes it."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.deploy.commands import read
from tests.deploy.recipe import Instruction, bakes, copied, entry, image, stages
from tests.documents.running import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_lines_are_joined_comments_left_out_and_arguments_filled_in() -> None:
    text = "ARG BASE=one\n# no\nFROM ${BASE} AS first\nRUN a \\\n# no\n    && b\n"
    text += "FROM ${BASE}\nUSER 1\n"

    first, last = stages(text, {"BASE": "two"})

    assert (first.base, first.name, last.base, last.name) == ("two", "first", "two", "")
    assert first.instructions == [Instruction("RUN", "a && b")]
    assert last.last("USER") == "1"


def test_arguments_that_nobody_asks_for_are_refused() -> None:
    with pytest.raises(AssertionError, match="OTHER"):
        stages("ARG BASE=one\nFROM ${BASE}\n", {"OTHER": "1"})


@pytest.mark.parametrize("name", bakes())
def test_an_image_has_what_serves_and_one_thing_that_computes(name: str) -> None:
    extras = set(bakes()[name]["EXTRAS"].split(","))
    optional = PROJECT["project"]["optional-dependencies"]

    assert extras <= optional.keys()
    assert len(extras & {"cpu", "cu12", "cu13", "rtx"}) == 1
    for each in list(extras):
        extras |= set(
            ",".join(re.findall(r"trtasync\[(.*?)\]", " ".join(optional[each]))).split(",")
        )
    assert {"server", "grpc"} <= extras


@pytest.mark.parametrize("name", bakes())
def test_an_image_serves_as_a_user_without_rights(name: str) -> None:
    last = image(name)[-1]

    assert read([*entry(last), "/models/m.onnx"])["host"] == "0.0.0.0"
    assert int(last.last("USER").partition(":")[0]) > 0


def test_what_the_package_is_built_from_is_copied() -> None:
    first, _ = image("cpu")
    copies = [copied(each.value) for each in first.instructions if each.word == "COPY"]
    hatch = PROJECT["tool"]["hatch"]
    needed = {"pyproject.toml", *PROJECT["project"]["license-files"]}
    needed |= {"README.md", hatch["metadata"]["hooks"]["custom"]["path"]}
    needed |= set(hatch["build"]["targets"]["wheel"]["packages"])

    assert {path for _, what, _ in copies for path in what} == set(map(Path, needed))
