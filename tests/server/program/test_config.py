"""The file that says what is served: what it may say, and every mistake in a sentence."""

from pathlib import Path

import pytest

from trtasync.errors import InvalidInput
from trtasync.server.program.config import read_config
from trtasync.server.program.settings import (
    EngineSettings,
    ServerSettings,
    Target,
    Wanted,
)


def read(folder: Path, text: str, server: ServerSettings | None = None, **engine: object) -> Wanted:
    path = folder / "models.toml"
    path.write_text(text)
    return read_config(path, server or ServerSettings(), EngineSettings(**engine))  # type: ignore[arg-type]  # any option


FULL = """
[server]
host = "localhost"
port = 9000
workers = 2
tls_cert = "cert.pem"
tls_key = "/keys/key.pem"
token_file = "tokens"
max_body = "1MiB"
max_connections = 10
grace = "500ms"
drain = 5

[[models]]
path = "digits.onnx"
max_batch_size = 8
max_queue_size = 100
max_queue_time = "100ms"
max_row_bytes = "1KiB"
batch_axes = { x = 0, rate = "none" }
batching = "proved"
cache_dir = "cache"
cache_owner = "root"
run_timeout = 2

[[models]]
name = "digits"
version = 2
path = "/models/better.onnx"
batching = true

[aliases]
stable = { model = "digits", version = 1 }
newest = "digits"
"""


def test_all_that_can_be_said(tmp_path: Path) -> None:
    wanted = read(tmp_path, FULL)
    server = wanted.server
    assert (server.host, server.port, server.workers) == ("localhost", 9000, 2)
    assert (server.tls_cert, server.tls_key) == (str(tmp_path / "cert.pem"), "/keys/key.pem")
    assert server.token_file == str(tmp_path / "tokens")
    limits = server.limits
    assert (limits.body, limits.connections, limits.drain) == (1 << 20, 10, 5)
    assert server.grace_seconds == 0.5
    first, second = wanted.offer.models
    assert (first.name, first.version, first.path) == ("digits", 1, str(tmp_path / "digits.onnx"))
    options = first.options
    cache = options.pop("cache")
    assert (cache.folder, cache.owner) == (str(tmp_path / "cache"), "root")
    assert options == {
        "max_batch_size": 8,
        "max_queue_size": 100,
        "max_queue_time": 0.1,
        "max_row_bytes": 1024,
        "batch_axes": {"x": 0, "rate": None},
        "batching": "proved",
        "run_timeout": 2,
    }
    assert first.max_rows == 100
    assert (second.name, second.version, second.path) == ("digits", 2, "/models/better.onnx")
    assert second.options == {"batching": True}
    assert wanted.offer.aliases == {"stable": Target("digits", 1), "newest": Target("digits")}


def test_options_of_the_command_come_before_server_and_after_models(tmp_path: Path) -> None:
    text = "[server]\nport = 1\nhost = 'a'\n[[models]]\npath = 'm.onnx'\nstreams = 3\n"
    wanted = read(tmp_path, text, ServerSettings(port=0), streams=1, threads=2)
    assert (wanted.server.port, wanted.server.host) == (0, "a")
    assert wanted.offer.models[0].options == {"streams": 3, "threads": 2}


M = "[[models]]\npath = 'm.onnx'\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models = 1", ": models: expected list, got int."),
        ("", ": this table lacks the required field models."),
        ("models = []", ": models is empty; say which models to serve."),
        ("[[models]]\nname = 'm'", ": models[0]: this table lacks the required field path."),
        (M + "[server", " is not valid TOML: Expected "),
        (M + "strems = 1", ": models[0]: this table contains unknown field strems."),
        (M + "streams = '1'", ": models[0].streams: expected int, got str."),
        (M + "streams = 0", ": models[0]: streams"),
        (M + "version = 0", ": models[0].version: expected int >= 1."),
        (M + "name = 'a/b'", ": models[0]: a model cannot be named 'a/b'"),
        (M + M, ": models[1]: model 'm' has version 1 already."),
        (M + "max_queue_time = '5 h'", ": models[0]: max_queue_time takes a time such as 20ms"),
        (M + "max_row_bytes = 'much'", ": models[0]: 'much' is not a size"),
        (M + "max_row_bytes = '0'", ": models[0]: a size here is at least one byte, not '0'."),
        (M + "max_row_bytes = 0", ": models[0].max_row_bytes: expected int >= 1."),
        (M + "cache_owner = 'root'", ": models[0]: cache_owner names the owner of cache_dir"),
        (M + "backend = 'gpu'", ": models[0]: backend"),
        (M + "batching = 'maybe'", ": models[0]: batching"),
        (M + "profiles = ['x']", ": models[0]: "),
        (
            M + "batch_axes = { x = 'all' }",
            ": models[0]: the batch axis of 'x' is a number or 'none', not",
        ),
        (M + "[server]\nport = 70000", ": server.port: expected int <= 65535."),
        (M + "[server]\nprot = 1", ": server: this table contains unknown field prot."),
        (M + "[server]\nworkers = 0", ": server.workers: expected int >= 1."),
        (M + "[server]\nmax_body = 'x'", ": server: 'x' is not a size"),
        (M + "[server]\nmax_body = '0.1'", ": server: a size here is at least one byte, not"),
        (M + "[server]\ngrace = -1", ": server.grace: expected float >= 0.0."),
        (M + "[server]\ntls_cert = 'c'", ": server: TLS needs a certificate and its key"),
        (M + "[aliases]\na = 1", ": aliases: expected str or table, got int."),
        (M + "[aliases]\na = 'z'", ": aliases.a: alias 'a' is for 'z', and there is no such"),
        (M + "[aliases]\nm = 'm'", ": aliases.m: 'm' is the name of a model"),
        (
            M + "[aliases]\na = { model = 'm', version = 3 }",
            ": aliases.a: alias 'a' is for version 3 of 'm', but there is no such model.",
        ),
        (M + "[aliases]\na = { version = 3 }", ": aliases: this table lacks the required"),
        (M + "[servers]", ": this table contains unknown field servers."),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(tmp_path, text)
    line = str(refused.value)
    assert line.startswith(f"{tmp_path / 'models.toml'}{sentence}")
    assert line.endswith(".")
    assert "\n" not in line
    assert "`" not in line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.toml cannot be read: No such file"):
        read_config(tmp_path / "nothing.toml", ServerSettings(), EngineSettings())
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="is not valid TOML"):
        read_config(tmp_path / "odd.toml", ServerSettings(), EngineSettings())


@pytest.mark.parametrize(("grpc_port", "seconds"), [(None, 12), (0, 19)])
def test_how_long_its_end_takes_at_most(grpc_port: int | None, seconds: float) -> None:
    """One door after the other drains."""
    assert ServerSettings(grace=5, drain="7s", grpc_port=grpc_port).ending_seconds == seconds
