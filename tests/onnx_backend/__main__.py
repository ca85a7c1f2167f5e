"""All model tests of the `onnx` package, each asked in three ways."""

import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import anyio

from tests.judging.nightly import Groups, command
from tests.onnx_backend.cases import all_cases
from tests.onnx_backend.suite import Way, judged


def judge(word: str) -> tuple[Groups, Mapping[str, Any]]:
    cases = [case for case in all_cases() if word in case.name]
    groups = {way.value: anyio.run(judged, cases, way) for way in Way}
    return groups, {"onnx": metadata.version("onnx"), "cases": len(cases)}


if __name__ == "__main__":
    sys.exit(command("model_coverage", __doc__, judge))
