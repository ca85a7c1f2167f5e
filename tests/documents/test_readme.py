"""What README.md promises on its first screen."""

import re
from pathlib import Path

from tests.documents.running import ROOT, python_blocks, run

TEN_LINES = r"\[594\. 596\. 598\.\] in \d+ batches\n"


def test_its_code_runs_without_a_file_of_the_repository(elsewhere: Path) -> None:
    (block,) = python_blocks("README.md")
    (elsewhere / "ten_lines.py").write_text(block)
    assert re.fullmatch(TEN_LINES, run(str(elsewhere / "ten_lines.py"), folder=elsewhere))
    assert [path.name for path in elsewhere.iterdir()] == ["ten_lines.py"]


def test_it_is_a_first_screen() -> None:
    """Options, errors and tables have pages of their own."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 130
    first = "\n".join(lines[:25])
    assert "docs/pictures/batches.svg" in first
    assert "## Ten lines" in first
