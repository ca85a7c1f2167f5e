"""Files that appear together, or not at all if the work is cancelled first."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from trtasync.plans.files import cannot_write
from trtasync.system.atomic_files import Draft
from trtasync.system.stopping import Stop


class Appearing:
    """Files that are written first and appear later; `with` removes those that did not appear."""

    def __init__(self, stop: Stop):
        """Start without files.

        Args:
            stop: cancels it, until they appear.
        """
        self._stop = stop
        self._drafts: list[tuple[Path, Draft]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for _, draft in self._drafts:
            draft.drop()

    def write(self, path: Path, content: Any, mode: int | None = None) -> None:
        """Write one more, from a buffer; see `written_whole` for its mode.

        Raises:
            BuildError: no permission, no space, no such folder. The file is then not added.
        """
        with self._begun(path, mode) as file:
            file.write(memoryview(content))

    def copy(self, path: Path, content: IO[bytes]) -> None:
        """Add one more, from an open file; see `write`."""
        with self._begun(path) as file:
            shutil.copyfileobj(content, file, 1 << 20)

    @contextmanager
    def _begun(self, path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
        try:
            draft = Draft(path, mode)
            try:
                yield draft.file
                draft.seal()
            except BaseException:
                draft.drop()
                raise
        except OSError as error:
            raise cannot_write(path, error) from error
        self._drafts.append((path, draft))

    def appear(self, final: bool = True) -> None:
        """Make all of them appear, in the order in which they were written.

        Args:
            final: they are the purpose of the work; see `Stop.decision`.

        Raises:
            Stopped: the work was cancelled.
            BuildError: one cannot be put in place; nor are those after it.
        """
        with self._stop.decision(final):
            for path, draft in self._drafts:
                try:
                    draft.appear()
                except OSError as error:
                    raise cannot_write(path, error) from error
        for _, draft in self._drafts:
            draft.last()
