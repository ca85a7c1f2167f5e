"""What a priority costs a request."""

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from trtasync.core.priorities import read_level


@pytest.mark.parametrize("priority", [0, 1, 9, np.int8(3)])
def test_no_other_function_is_called_for_it(priority: Any) -> None:
    """`isinstance` against a protocol calls a dozen, as slow as all else of a refused request."""
    called: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        read_level(priority)
    finally:
        sys.setprofile(before)
    assert called == ["read_level"]
