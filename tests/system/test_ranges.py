"""Ranges for NVIDIA's profilers: where they are wanted, and what is refused."""

import sys

import pytest

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.system.ranges import VARIABLE, ranged, wanted_domain, within


@pytest.mark.parametrize("said", [None, "", "0"])
def test_nobody_wants_any(said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvtx", None)  # so it is not even looked for
    monkeypatch.delenv(VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(VARIABLE, said)
    assert wanted_domain() is None
    with ranged("nothing"):
        pass


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(InvalidInput, match=r"TRTASYNC_NVTX must be 1 .* or 0 \(none\), not 'yes'"):
        wanted_domain()
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setitem(sys.modules, "nvtx", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'trtasync\[nvtx\]'"):
        wanted_domain()


def test_nvtx_itself_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nvtx")
    monkeypatch.setenv(VARIABLE, "1")
    domain = wanted_domain()
    assert domain is not None
    assert type(domain).__name__ in ("Domain", "DummyDomain")
    for payload in (None, 3):
        with within(domain, "outer", payload), within(domain, "inner"):
            pass
