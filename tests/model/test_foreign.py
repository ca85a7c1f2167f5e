"""What a file is instead of a model is told by its first bytes, and never said of a model."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.helpers import MODELS
from trtasync.model.foreign import HEAD_BYTES, head_of, seems


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.name)
def test_a_model_is_taken_for_nothing_else(path: Path) -> None:
    assert seems(head_of(path)) == ""


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_text_is_one_wherever_it_is_cut_off(text: str) -> None:
    written = ("# " + text * HEAD_BYTES).encode()
    assert seems(written[:HEAD_BYTES]) == "text"


@given(st.binary(min_size=1))
def test_numbers_are_no_text(numbers: bytes) -> None:
    assert seems(b"\x08" + numbers) == ""


def test_bytes_that_are_no_utf_8_are_no_text() -> None:
    assert seems(b"d\xe9j\xe0 vu") == ""
