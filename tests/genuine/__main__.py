"""Every model there is through `build_plan` on NVIDIA's own builder: built, or one sentence."""

import sys
from collections.abc import Mapping
from typing import Any

from tests.genuine.library import VERSION
from tests.genuine.sweep import of_cases, of_real_life, of_the_onnx_package, sweep
from tests.judging.nightly import Groups, command
from tests.onnx_backend.cases import all_cases
from tests.real_models.catalogue import MODELS
from tests.real_models.suite import fetch


def judge(word: str) -> tuple[Groups, Mapping[str, Any]]:
    """All whose name holds a word."""
    files = [each for each in of_the_onnx_package() if word in each.name]
    known = {each.name for each in files} | {f"test_{each.name}" for each in files}
    cases = [each for each in all_cases() if word in each.name and each.name not in known]
    models = [each for each in MODELS if word in each.name]
    for package in {each.package.name: each.package for each in models}.values():
        fetch(package, [each for each in models if each.package is package])
    groups = {
        "model files of the onnx package": list(sweep(files)),
        "models that it makes": list(sweep(of_cases(cases))),
        "real models": list(sweep(of_real_life(models))),
    }
    return groups, {"tensorrt_rtx": VERSION}


if __name__ == "__main__":
    sys.exit(command("genuine_builder", __doc__, judge))
