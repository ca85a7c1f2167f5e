"""A front keeps to what the system lets it have."""

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trtasync.server.fast import Limits
from trtasync.server.program.front import FOR_OTHERS, within_descriptors


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """The system lets this process have no more."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_no_more_connections_than_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(body=7, connections=300)
    with caplog.at_level(logging.WARNING, "trtasync"):
        with descriptors(300 + FOR_OTHERS):
            assert within_descriptors(limits) == limits
        assert not caplog.records
        with descriptors(299 + FOR_OTHERS):
            assert within_descriptors(limits) == Limits(body=7, connections=299)
    assert "at most 299 clients at once" in caplog.text
