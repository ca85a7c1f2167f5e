"""Compressed bodies, and no bombs."""

import gzip
import zlib

import pytest

from trtasync.server.protocol.bodies import (
    GZIP,
    ZLIB,
    choose_encoding,
    compress,
    decompress,
    form_of,
)
from trtasync.server.protocol.refusals import Refusal

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("encoding", "form"),
    [("gzip", GZIP), ("GZip ", GZIP), ("deflate", ZLIB), ("identity", None), ("", None)],
)
def test_what_is_understood(encoding: str, form: int | None) -> None:
    assert form_of(encoding) == form


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
def test_what_is_not_understood_is_415(encoding: str) -> None:
    with pytest.raises(Refusal, match="gzip, deflate or none") as raised:
        form_of(encoding)
    assert raised.value.status == 415


def test_what_was_compressed_comes_back() -> None:
    assert decompress(gzip.compress(CONTENT), GZIP, len(CONTENT)) == CONTENT
    assert decompress(zlib.compress(CONTENT), ZLIB, len(CONTENT)) == CONTENT
    assert decompress(gzip.compress(b""), GZIP, 0) == b""
    for encoding, form in (("gzip", GZIP), ("deflate", ZLIB)):
        assert decompress(compress(CONTENT, encoding), form, len(CONTENT)) == CONTENT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_is_one_stream_of_at_most_so_many_bytes(encoding: str) -> None:
    whole, form = compress(CONTENT, encoding), form_of(encoding)
    assert form is not None
    with pytest.raises(Refusal, match="more than") as raised:
        decompress(whole, form, len(CONTENT) - 1)
    assert raised.value.status == 413
    with pytest.raises(Refusal, match="one stream") as raised:
        decompress(whole * 2, form, 2 * len(CONTENT))
    assert raised.value.status == 400


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(bytes(1 << 27)))  # 128 MiB in a few hundred bytes
    once = decompress(bomb, GZIP, 1 << 20)
    with pytest.raises(Refusal, match="more than 1048576 bytes") as raised:
        decompress(once, GZIP, 1 << 20)
    assert raised.value.status == 413


@pytest.mark.parametrize("form", [GZIP, ZLIB])
def test_a_damaged_body_is_400(form: int) -> None:
    whole = gzip.compress(CONTENT) if form == GZIP else zlib.compress(CONTENT)
    damaged = [b"", whole[:-1], whole[:5], CONTENT, whole + b"!", whole[:20] + b"\xff" * 20]
    if form == GZIP:
        damaged.append(whole[:-8] + bytes(8))
    for body in damaged:
        with pytest.raises(Refusal, match="compressed body") as raised:
            decompress(body, form, 1 << 20)
        assert raised.value.status == 400


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("GZIP ; Q=0.2, deflate; q=0.9", "deflate"),
        ("gzip;q=much", None),
        (";;,,", None),
    ],
)
def test_what_a_client_takes(accepted: str, chosen: str | None) -> None:
    assert choose_encoding(accepted) == chosen
