"""Reads and writes that keep the GIL do what those of a socket do."""

import socket

import pytest

from trtasync.shared.syscalls import Quick


def pair() -> tuple[socket.socket, socket.socket]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    return ends


def test_what_is_sent_is_received_and_no_more_at_once_than_was_asked_for() -> None:
    ours, theirs = pair()
    with ours, theirs:
        assert Quick(ours, 4).send(b"a\0bcdef") == 7
        reader = Quick(theirs, 4)
        assert [reader.receive(), reader.receive()] == [b"a\0bc", b"def"]
        with pytest.raises(BlockingIOError):
            reader.receive()


def test_what_has_no_room_is_not_sent() -> None:
    ours, theirs = pair()
    with ours, theirs:
        writer, much = Quick(ours, 1), bytes(8 << 20)
        sent = writer.send(much)
        assert 0 < sent < len(much)
        with pytest.raises(BlockingIOError):
            writer.send(much)
        reader, read = Quick(theirs, len(much)), 0
        while read < sent:
            read += len(reader.receive())
        assert read == sent
        assert writer.send(b".") == 1


def test_a_closed_end_is_told() -> None:
    ours, theirs = pair()
    reader, writer = Quick(ours, 1), Quick(ours, 1)
    theirs.close()
    assert reader.receive() == b""
    with pytest.raises(BrokenPipeError):
        writer.send(b".")
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        reader.receive()
