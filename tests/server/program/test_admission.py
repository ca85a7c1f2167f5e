"""Who shows a token, and who does not."""

from pathlib import Path

import pytest

from tests.server.fast.clients import request
from trtasync.server.fast.heads import Heads
from trtasync.server.program.admission import Tokens
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.tokens import read_tokens


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    """That lets in who shows one of two tokens."""
    (tmp_path / "tokens").write_text("first\nsecond\n")
    return Heads(Tokens(read_tokens(str(tmp_path / "tokens"))).admit)


@pytest.mark.parametrize(
    "shown", [["Bearer first"], ["bearer  second "], ["BEARER second"]], ids=str
)
def test_who_is_let_in(heads: Heads, shown: list[str]) -> None:
    lines = [f"Authorization: {each}" for each in shown]
    for _ in range(2):  # the second time it is known
        assert heads.read(request("GET", "/v2", b"", *lines)).target == b"/v2"


@pytest.mark.parametrize(
    "shown",
    [
        [],
        ["first"],
        ["Bearer"],
        ["Bearer firs"],
        ["Bearer firstsecond"],
        ["Bearer first", "Bearer first"],
        ["Bearer first", "Bearer wrong"],
        ["Bearer first, Bearer second"],
        ["Basic first"],
    ],
    ids=str,
)
def test_who_is_not(heads: Heads, shown: list[str]) -> None:
    lines = [f"Authorization: {each}" for each in shown]
    for path in ("/v2", "/v2/health", "/v2/health/live/", "/v2/health/live/../../models/m"):
        for _ in range(2):
            with pytest.raises(Refusal, match="wants a token") as refused:
                heads.read(request("GET", path, b"", *lines))
            assert refused.value.status == 401
    open_to_all = heads.read(request("GET", "/v2/health/live?x=/v2", b"", *lines))
    assert open_to_all.target == b"/v2/health/live?x=/v2"
