"""docs/migrating.md shows the OCR service as it is, and counts lines truthfully."""

import re

from tests.documents.running import ROOT, python_blocks

PAGE = "docs/migrating.md"
SERVICE = ROOT / "examples" / "ocr_service.py"


def test_ours_is_the_example_that_is_tested() -> None:
    assert python_blocks(PAGE)[0] == SERVICE.read_text(encoding="utf-8")
    assert len(SERVICE.read_text(encoding="utf-8").splitlines()) <= 30


def test_the_table_counts_the_lines() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    counted = re.search(r"(?m)^\| lines of code, .* \| (\d+) \| (\d+) \| (\d+) \|$", page)
    assert counted is not None
    blocks = python_blocks(PAGE)
    lines = [sum(bool(line.strip()) for line in block.splitlines()) for block in blocks]
    assert [int(count) for count in counted.groups()] == lines


def test_the_others_are_python_and_name_their_library() -> None:
    """They have been run by hand: neither library is in the tests' environment."""
    for block, library in zip(python_blocks(PAGE)[1:], ("litserve", "bentoml"), strict=True):
        compile(block, library, "exec")
        assert f"import {library}" in block
