"""Measurements kept in a file, one JSON line each, so that an interrupted run goes on.

The first line says what was measured, and on what; nothing else is ever added to such a file. A
measurement has a line when it begins and one when it ends. A last line that was torn is cut off.
"""

import errno
import json
import logging
import math
import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trtasync.errors import BackendUnavailable, BuildError, InvalidInput
from trtasync.measure.loads import Closed, Load, Open
from trtasync.plans.cache import cache_folder, key_of
from trtasync.plans.files import make_private
from trtasync.plans.locks import locked
from trtasync.plans.notes import UNREADABLE
from trtasync.system.stopping import Stopped
from trtasync.system.trust import NotTrusted, Owner, read_whole
from trtasync.tune.probes import Outcome, Probe
from trtasync.tune.space import Config

log: logging.Logger = logging.getLogger("trtasync")

MARK = '{"trtasync tune": '
"""How every such file begins."""

STATE_FORMAT = 1

MOST_STATE_BYTES = 64 << 20
"""Of a file; a measurement takes about one thousand."""

DEATHS = 2
"""Times that the process may be killed in a measurement before it is taken to be the cause."""


class State:
    """What was measured before. A context manager; nobody else writes the file meanwhile.

    Attributes:
        path: the file; None when nothing is kept.
        known: measurements found in it.
    """

    def __init__(
        self, path: Path | None, facts: Mapping[str, Any] | None, *, fresh: bool, given: bool
    ):
        """Prepare; entering it reads the file.

        Args:
            path: the file; None to keep nothing.
            facts: all that measurements depend on.
            fresh: forget what was kept.
            given: the user named the file, so that it cannot be written is an error.
        """
        self.path = path
        self.known: int = 0
        self._facts = json.loads(json.dumps(facts))  # as they come back from a file
        self._fresh = fresh
        self._given = given
        self._outcomes: dict[Probe, Outcome] = {}
        self._begun: Counter[Probe] = Counter()
        self._closing = ExitStack()
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        if os.path.isdir(self.path):
            raise InvalidInput(f"{self.path} is a folder; name a file in it (state).")
        try:
            if self._given:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            else:
                make_private(self.path.parent)
            self._open(self.path)
        except (OSError, BuildError, BackendUnavailable) as error:
            self._closing.close()
            if self._given:
                why = str(error).rstrip(".")
                if isinstance(error, OSError):
                    what = "used" if isinstance(error, NotTrusted) else "written"
                    why = f"{self.path} cannot be {what}: {error.strerror or error}"
                raise InvalidInput(
                    f"{why}. Name another file, or keep nothing (state=False)."
                ) from error
            log.warning("measurements are not kept: %s", error)
            self.path = self._file = None
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def find(self, probe: Probe) -> Outcome | None:
        """What came of a measurement back then. One that failed is made again, unless it killed
        the process."""
        found = self._outcomes.get(probe)
        if found is None and self._begun[probe] >= DEATHS:
            return Outcome(
                0.0,
                failure=f"the process was killed {self._begun[probe]} times while this was "
                "measured, perhaps for its memory.",
            )
        return found

    def begin(self, probe: Probe) -> None:
        """A measurement begins."""
        self._write({"begin": _written(probe)})

    def end(self, probe: Probe, outcome: Outcome) -> None:
        """It has ended."""
        self._write({"end": _written(probe), "outcome": asdict(outcome)})

    def drop(self, probe: Probe) -> None:
        """It was interrupted, which says nothing against it."""
        self._write({"drop": _written(probe)})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            _append(self._file, json.dumps(line, separators=(",", ":")))
        except OSError as error:  # what was measured is worth more than that it is kept
            log.warning("%s: from here on nothing is kept: %s", self.path, error.strerror or error)
            self._file = None

    def _open(self, path: Path) -> None:
        at_once = threading.Event()
        at_once.set()
        try:
            self._closing.enter_context(locked(path, at_once))
        except Stopped:
            raise InvalidInput(
                f"another process is tuning with {path}; two at once would measure each other. "
                "Wait for it, or name another file (state)."
            ) from None
        file = self._closing.enter_context(Owner.me().open_to_append(path))
        whole = self._read(path, _content(path, file))
        file.truncate(whole)
        file.seek(whole)
        self._file = file
        if not whole:
            head = json.dumps(STATE_FORMAT)
            text = f'{MARK}{head}, "key": "{key_of(self._facts)}", "facts": '
            _append(file, f"{text}{json.dumps(self._facts)}}}")

    def _read(self, path: Path, data: bytes) -> int:
        """Take in what is there; how many bytes of it are to be kept."""
        mark = MARK.encode()
        if not data.startswith(mark) and not mark.startswith(data):
            raise InvalidInput(
                f"{path} is not a file of measurements, and is left alone; name another (state)."
            )
        lines = data.split(b"\n")[:-1]  # anything after the last newline is torn
        if self._fresh or not lines:
            return 0
        self._demand_same(path, lines[0])
        broken: list[tuple[int, BaseException]] = []
        for number, line in enumerate(lines[1:], 2):
            try:
                self._take(json.loads(line))
            except UNREADABLE as error:
                broken.append((number, error))
        if broken:
            (number, why), more = broken[0], f" (and {len(broken) - 1} more)" * (len(broken) > 1)
            log.warning("%s, line %d cannot be read and is left out%s: %s", path, number, more, why)
        self.known = len(self._outcomes)
        return sum(len(line) + 1 for line in lines)

    def _demand_same(self, path: Path, line: bytes) -> None:
        try:
            head = json.loads(line)
            facts, version = head["facts"], head["trtasync tune"]
        except UNREADABLE:
            facts, version = {}, None
        if version == STATE_FORMAT and facts == self._facts:
            return
        names = sorted({*facts, *self._facts}) if isinstance(facts, dict) else []
        changes = [
            f"{name}: {_short(facts.get(name))}, now {_short(self._facts.get(name))}"
            for name in names
            if facts.get(name) != self._facts.get(name)
        ]
        raise InvalidInput(
            f"{path} holds measurements of something else ({'; '.join(changes) or 'its format'}). "
            "Name another file (state), or forget what it holds (fresh)."
        )

    def _take(self, line: Mapping[str, Any]) -> None:
        if "begin" in line:
            self._begun[_probe(line["begin"])] += 1
        elif "drop" in line:
            self._begun[_probe(line["drop"])] -= 1
        else:
            probe, outcome = _probe(line["end"]), _outcome(**line["outcome"])
            self._begun[probe] = 0
            if outcome.failure:
                self._outcomes.pop(probe, None)
            else:
                self._outcomes[probe] = outcome


def _append(file: FileIO, line: str) -> None:
    """Write a line by one call, so that it is whole or, the last one, torn.

    Raises:
        OSError: there is no room for all of it.
    """
    data = f"{line}\n".encode()
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def default_path(name: str, facts: Mapping[str, Any]) -> Path | None:
    """A file of its own for these facts, in the user's cache folder; None without such a folder."""
    try:
        folder = cache_folder(True)
    except (BackendUnavailable, InvalidInput) as error:
        log.warning("measurements are not kept: %s", error)
        return None
    assert folder is not None
    return folder / "tune" / f"{Path(name).stem[:60]}-{key_of(facts)[:16]}.jsonl"


def _written(probe: Probe) -> dict[str, Any]:
    kind = "closed" if isinstance(probe.load, Closed) else "open"
    return {"config": asdict(probe.config), kind: asdict(probe.load), "turn": probe.turn}


def _probe(line: Mapping[str, Any]) -> Probe:
    load: Load = Closed(**line["closed"]) if "closed" in line else Open(**line["open"])
    return Probe(Config(**line["config"]), load, line["turn"])


def _outcome(seconds: Any, figures: Mapping[str, Any], failure: Any) -> Outcome:
    numbers = {str(name): float(figure) for name, figure in figures.items()}
    if not all(map(math.isfinite, (float(seconds), *numbers.values()))):
        raise ValueError("a figure is endless")
    return Outcome(float(seconds), numbers, str(failure))


def _content(path: Path, file: FileIO) -> bytes:
    """As much as measurements may take; a file that has more is none of ours."""
    try:
        return read_whole(file, MOST_STATE_BYTES)
    except ValueError as error:
        raise InvalidInput(
            f"{path} is not a file of measurements ({error}), and is left alone; name another "
            "(state)."
        ) from None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
