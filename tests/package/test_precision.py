"""What `make types-report` reads and adds up."""

import pytest

from tests.package import precision
from tests.package.precision import Count

REPORT = """\
                       Name   Anys   Exprs   Coverage
-----------------------------------------------------
                   trtasync      3      45     93.33%
        trtasync.core.calls     20     100     80.00%
         trtasync.core_more     10      10      0.00%
            trtasync.engine      0     300    100.00%
              trtasync.loops     0       0    100.00%
-----------------------------------------------------
                      Total     33     455     92.75%
"""


def test_the_core_is_read_and_nothing_else() -> None:
    assert list(precision.read(REPORT)) == [
        Count("trtasync.core.calls", 20, 100),
        Count("trtasync.engine", 0, 300),
        Count("trtasync.loops", 0, 0),
    ]


def test_modules_count_by_their_size() -> None:
    counts = list(precision.read(REPORT))
    assert [count.precise for count in counts] == pytest.approx([80.0, 100.0, 100.0])
    assert precision.total(counts).precise == pytest.approx(95.0)


def test_every_part_of_the_core_is_there() -> None:
    found = {path.stem for path in (precision.ROOT / "trtasync").iterdir()}
    assert set(precision.CORE) <= found
