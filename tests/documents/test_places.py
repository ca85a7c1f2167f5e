"""What documents point to is there."""

import re
from pathlib import Path

import pytest

from tests.documents.running import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PLACE = re.compile(r"`((?:tests|support|benchmarks|examples|trtasync)/[\w./]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_place_that_a_page_names_is_there(page: Path) -> None:
    missing = [
        place
        for place in PLACE.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / place).exists()
    ]
    assert not missing


def test_a_place_that_is_gone_is_found() -> None:
    assert PLACE.findall("see `tests/genuine` and `tests/gone.py`, not `make test`") == [
        "tests/genuine",
        "tests/gone.py",
    ]
