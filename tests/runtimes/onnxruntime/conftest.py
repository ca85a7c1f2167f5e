"""Models that a test makes for itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.helpers import Array
from support.onnx_models import Make, write_model


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a model of the given nodes, inputs, outputs and constants."""

    def write(
        nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], **constants: Array
    ) -> Path:
        return write_model(tmp_path / "model.onnx", nodes, inputs, outputs, constants)

    return write
