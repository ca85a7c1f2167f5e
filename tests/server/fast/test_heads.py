"""Heads of requests: what is read of them, and what is refused."""

import pytest

from trtasync.server.fast import heads
from trtasync.server.fast.heads import Heads, read_head
from trtasync.server.protocol.refusals import Refusal

HOST = b"Host: a\r\n"


def head(lines: bytes, first: bytes = b"POST /v2/models/m/infer HTTP/1.1") -> bytes:
    """One head."""
    return first + b"\r\n" + lines + b"\r\n"


def test_what_a_head_says() -> None:
    told = read_head(
        head(
            HOST + b"CONTENT-length:  12 \r\nX-y:\t1, 2\t\r\nExpect: 100-Continue\r\n",
            b"PUT /a%20b?c=%20 HTTP/1.1",
        )
    )
    assert (told.method, told.target, told.version) == ("PUT", b"/a%20b?c=%20", "1.1")
    assert told.headers == (
        (b"host", b"a"),
        (b"content-length", b"12"),
        (b"x-y", b"1, 2"),
        (b"expect", b"100-Continue"),
    )
    assert (told.length, told.keeps, told.expects, told.model) == (12, True, True, None)


@pytest.mark.parametrize(
    ("first", "lines", "keeps"),
    [
        (b"GET / HTTP/1.1", HOST, True),
        (b"GET / HTTP/1.1", HOST + b"Connection: close\r\n", False),
        (b"GET / HTTP/1.1", HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n", True),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_who_keeps_the_connection(first: bytes, lines: bytes, keeps: bool) -> None:
    assert read_head(head(lines, first)).keeps is keeps


@pytest.mark.parametrize(
    ("path", "lines", "model", "json_length"),
    [
        (b"/v2/models/m/infer", b"", ("m", None), None),
        (b"/v2/models/m/versions/7/infer", b"", ("m", "7"), None),
        (b"/v2/models/a-b.c:d@e+f~g/infer", b"", ("a-b.c:d@e+f~g", None), None),
        (b"/v2/models/m/infer", b"Inference-Header-Content-Length: 3\r\n", ("m", None), 3),
        (b"/v2/models/m/infer", b"Inference-Header-Content-Length: 0\r\n", ("m", None), 0),
        # all of these are for the application
        (b"/v2/models/m/infer?x", b"", None, None),
        (b"/v2/models/%6d/infer", b"", None, None),
        (b"/v2/models/m/infer/", b"", None, None),
        (b"/v2/models/m/versions/x/infer", b"", None, None),
        (b"/v2/models/m/ready", b"", None, None),
        (b"/v2/models/m/infer", b"Content-Encoding: gzip\r\n", None, None),
        (b"/v2/models/m/infer", b"Traceparent: 00-1\r\n", None, None),
        (b"/v2/models/m/infer", b"Inference-Header-Content-Length: 10\r\n", None, None),
        (b"/v2/models/m/infer", b"Inference-Header-Content-Length: -1\r\n", None, None),
        (b"/v2/models/m/infer", b"Inference-Header-Content-Length: 1\r\n" * 2, None, None),
    ],
)
def test_which_requests_are_for_the_door_itself(
    path: bytes, lines: bytes, model: object, json_length: int | None
) -> None:
    block = head(HOST + b"Content-Length: 9\r\n" + lines, b"POST %s HTTP/1.1" % path)
    told = read_head(block)
    assert (told.model, told.json_length) == (model, json_length)
    assert read_head(block.replace(b"POST", b"GET")).model is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        # two readers could take these differently: request smuggling
        (b"Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"Content-Length: 1, 1\r\n", 400),
        (b"Content-Length: +1\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 0x1\r\n", 400),
        (b"Content-Length: 1 1\r\n", 400),
        (b"Content-Length: \r\n", 400),
        (b"Content-Length: " + b"9" * 30 + b"\r\n", 400),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", None),
        (b"Transfer-Encoding: gzip, chunked\r\n", None),
        (b"Transfer-Encoding: chunked, identity\r\n", None),
        (b"Transfer-Encoding: xchunked\r\n", None),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Transfer-Encoding: \x0bchunked\r\n", 400),
        (b"X: a\nContent-Length: 1\r\n", 400),
        (b"X: a\rContent-Length: 1\r\n", 400),
        (b"X: a\r\n Content-Length: 1\r\n", 400),
        (b"X: a\r\n\tb\r\n", 400),
        (b" X: a\r\n", 400),
        (b"X: a\0b\r\n", 400),
        (b"X: a\x7fb\r\n", 400),
        (b"X\r\n", 400),
        (b": a\r\n", 400),
        (b"X y: a\r\n", 400),
        (b"X(: a\r\n", 400),
        (b"Host: b\r\n", 400),
        (b"Expect: a miracle\r\n", 417),
        (b"X: a\r\n" * 101, 431),
    ],
)
def test_heads_that_are_refused(lines: bytes, status: int | None) -> None:
    with pytest.raises(Refusal) as refused:
        read_head(head(HOST + lines))
    assert refused.value.status == (status or refused.value.status)
    assert refused.value.status in (400, 417, 431, 501)


@pytest.mark.parametrize(
    "first",
    [
        b"POST  / HTTP/1.1",
        b"POST / HTTP/1.1 ",
        b"POST /\tHTTP/1.1",
        b"POST / a HTTP/1.1",
        b"POST / HTTP/11",
        b"POST / HTTP/1.2",
        b"POST / HTTP/2.0",
        b"POST / http/1.1",
        b"POST /",
        b"post / HTTP/1.1",
        b"GET http://b/ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET  HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT b:80 HTTP/1.1",
        b"\x16\x03\x01\x02",
    ],
)
def test_first_lines_that_are_refused(first: bytes) -> None:
    with pytest.raises(Refusal):
        read_head(head(HOST, first))


def test_a_request_of_http_1_1_has_one_host() -> None:
    for lines in (b"", HOST + HOST):
        with pytest.raises(Refusal, match="one Host"):
            read_head(head(lines))
    with pytest.raises(Refusal, match=r"in chunks of HTTP/1\.1"):
        read_head(head(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0"))


def test_a_head_that_was_seen_before_is_not_read_again() -> None:
    known = Heads()
    block = head(HOST)
    assert known.read(block) is known.read(bytes(bytearray(block)))
    assert known.read(block) is not Heads().read(block)


def test_memory_for_heads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "KEPT", 2)
    known = Heads()
    blocks = [head(HOST + b"X: %d\r\n" % each) for each in range(3)]
    first, *others = [known.read(block) for block in blocks]
    assert [known.read(block) for block in blocks[1:]] == others
    assert all(a is b for a, b in zip(others, map(known.read, blocks[1:]), strict=True))
    assert known.read(blocks[0]) is not first
    for lines in (b"X: " + b"a" * 2000 + b"\r\n", b"traceparent: 00-1\r\n"):
        block = head(HOST + lines)
        assert known.read(block) is not known.read(block)
