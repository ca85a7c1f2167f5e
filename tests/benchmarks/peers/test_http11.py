"""The load generator's HTTP: requests as they are sent, answers however they arrive."""

import pytest

from benchmarks.peers.http11 import Answer, AnswerReader, BadAnswer, request_bytes

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;note=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)


def test_a_request_says_where_what_and_how_much() -> None:
    request = request_bytes("/infer", {"Content-Type": "x/y"}, b"abc")
    assert request == (
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )


@pytest.mark.parametrize("stream", [PLAIN, CHUNKED])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_arrives_in_pieces_of_any_size(stream: bytes, size: int) -> None:
    reader = AnswerReader()
    pieces = [stream[begin : begin + size] for begin in range(0, len(stream), size)]
    for _ in range(2):  # and the reader is ready for the next
        *early, last = [reader.feed(piece) for piece in pieces]
        assert early == [None] * len(early)
        assert last is not None
        assert (last.status, last.body) == (200, b"hello")


def test_header_fields_are_found_in_any_case() -> None:
    answer = Answer(200, b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length:  17 ", b"")
    assert answer.header("inference-header-content-length") == "17"
    assert answer.header("content-length") is None


def test_an_answer_without_a_body_and_another_status() -> None:
    answer = AnswerReader().feed(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    assert answer is not None
    assert (answer.status, answer.body) == (503, b"")


def test_continue_is_passed_over() -> None:
    answer = AnswerReader().feed(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN)
    assert answer is not None
    assert answer.body == b"hello"


@pytest.mark.parametrize(
    "stream",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        PLAIN + b"more",
    ],
)
def test_what_is_no_answer_is_refused(stream: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(stream)
