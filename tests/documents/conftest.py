"""Where the code of documents runs."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in, where plans are kept as well; logging is left as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
    loggers = [logging.getLogger(name) for name in ("trtasync", "trtasync.tensorrt")]
    before = [(logger.level, [*logger.handlers]) for logger in loggers]
    yield tmp_path
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
