"""Where a server is, as a URL says it."""

from typing import Any

import pytest

from trtasync.errors import InvalidInput
from trtasync.server.remote.places import read_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://server:8000", ("http", "server", 8000, "")),
        ("http://server/", ("http", "server", 80, "")),
        ("https://server/models/", ("https", "server", 443, "/models")),
        ("http://[::1]:9", ("http", "::1", 9, "")),
        ("grpc://server:8001", ("grpc", "server", 8001, "")),
        ("grpcs://[::1]:9/", ("grpcs", "::1", 9, "")),
    ],
)
def test_urls(url: str, place: Any) -> None:
    assert read_url(url) == (*place, "")
    assert read_url(url).is_tls is url.partition("://")[0].endswith("s")


def test_an_address_in_a_header() -> None:
    assert read_url("http://[::1]:9").authority == "[::1]:9"
    assert read_url("http://server").authority == "server:80"


def test_a_token() -> None:
    assert read_url("http://server", "secret").authorization == "Bearer secret"
    assert read_url("http://server").authorization == ""


@pytest.mark.parametrize(
    "url",
    [
        "server:8000",
        "ftp://server:8001",
        "grpc://server",
        "grpc://server:8001/path",
        "http://",
        "http://a:b",
        "http://u:p@a",
        "http://a?b",
        "",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"URL|HOST:PORT"):
        read_url(url)
