"""How a host is reached that somebody else runs."""

import threading
from dataclasses import dataclass
from pathlib import Path

from trtasync.errors import BackendUnavailable
from trtasync.shared.joining import Joined, NotThere, hello, join


@dataclass(frozen=True, slots=True)
class Service:
    """A host that a service manager runs: it is joined, and never started; see `link.Way`.

    Attributes:
        path: of its socket.
        model: by its name; None for the only one.
    """

    path: Path
    model: str | None

    def join(self, stop: threading.Event, hangs: bool = False) -> Joined:
        """See `link.Way.join`. One that hangs is for its manager to end."""
        try:
            return join(self.path, hello(self.model), stop)
        except NotThere as error:
            raise BackendUnavailable(
                f"{str(error).rstrip('.')}; start one: trtasync host MODEL --socket {self.path}"
            ) from error
