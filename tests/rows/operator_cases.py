"""All makers of random nodes, by name."""

from tests.rows import cases_of_elements, cases_of_flow, cases_of_shapes, cases_of_sums
from tests.rows.making import MAKERS, Case

__all__ = [
    "MAKERS",
    "Case",
    "cases_of_elements",
    "cases_of_flow",
    "cases_of_shapes",
    "cases_of_sums",
]
