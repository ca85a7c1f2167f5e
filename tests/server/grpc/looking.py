"""An engine that looks at its context, and fails."""

from typing import Any

from trtasync.errors import TrtasyncError
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.models import Models
from trtasync.tracing.context import TraceContext, current_trace

TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True, "a=1,b=2")
TRACED = (
    ("traceparent", f"00-{TRACE.trace_id}-{TRACE.parent_id}-01"),
    ("tracestate", "a=1"),
    ("tracestate", "b=2"),
)
"""The metadata of a call of that trace."""

EMPTY = INFERENCE.make("ModelInferRequest", model_name="m")
"""A request for this engine."""


class Looking:
    """Has no inputs and no outputs.

    Attributes:
        seen: the trace of each request.
        error: what each ends in.
    """

    inputs = outputs = ()

    def __init__(self) -> None:
        self.seen: list[TraceContext | None] = []
        self.error: Exception = TrtasyncError()

    @property
    def models(self) -> Models:
        """It alone, as "m"."""
        models = Models()
        models.add("m", self._open)
        return models

    async def _open(self) -> Any:
        return self

    async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
        """Look, and fail."""
        self.seen.append(current_trace.get())
        raise self.error

    is_alive = True

    def statistics(self) -> Any: ...

    async def aclose(self) -> None: ...
