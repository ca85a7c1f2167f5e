"""A full engine, in Ray's terms."""

from typing import TYPE_CHECKING

from trtasync.errors import QueueFull
from trtasync.server.protocol.refusals import retry_after, status_of
from trtasync.words import one_line

if TYPE_CHECKING:  # where Ray need not be installed

    class BackPressureError(Exception):
        """Ray's."""

else:
    from ray.serve.exceptions import BackPressureError


class Overloaded(QueueFull, BackPressureError):
    """`QueueFull`, and what Ray's ingresses answer by 429 and `Retry-After`: Ray's and FastAPI's
    own ones, and gRPC (RESOURCE_EXHAUSTED)."""

    def __init__(self, message: object = "", **fields: object):
        """As `QueueFull`; what Ray's class wants to be given is told by the properties."""
        Exception.__init__(self, one_line(str(message)))  # not what lies between them
        self.__dict__.update(fields)

    @classmethod
    def of(cls, error: QueueFull) -> "Overloaded":
        """The same in Ray's terms."""
        return cls(error, **vars(error))

    def __str__(self) -> str:
        return Exception.__str__(self)

    @property
    def message(self) -> str:
        """For the body of an answer."""
        return str(self)

    @property
    def status_code(self) -> int:
        """Of HTTP."""
        return status_of(self)

    @property
    def retry_after_s(self) -> float:
        """Whole seconds."""
        return float(retry_after(self) or 1)
