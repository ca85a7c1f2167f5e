"""What extras cost: those that are measured exist, and the table shows each."""

import tomllib

from benchmarks.installs import EXTRAS, installs
from benchmarks.report import ROOT


def test_what_is_measured_can_be_installed() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= {"", *known["optional-dependencies"]}


def test_the_table_has_a_row_for_each() -> None:
    figures = {"megabytes": 1234.5, "packages": 6, "import_ms": 98.7}
    result = {
        "name": "installs",
        "summary": {"": figures, "cpu": figures},
        "parameters": {"imports": 15},
        "hardware": {"cpu": "CPU", "system": "Linux"},
        "versions": {"python": "3.11.7"},
        "date": "2026-01-01",
        "commit": "0123456789abcdef",
        "dirty": False,
    }
    lines = installs(result).splitlines()
    assert lines[2:4] == [
        "| `trtasync` | 1,234 | 6 | `trtasync` | 99 |",
        "| `trtasync[cpu]` | 1,234 | 6 | `onnxruntime` | 99 |",
    ]
    assert "2026-01-01, 0123456789; CPU, Linux, Python 3.11.7" in lines[-1]
