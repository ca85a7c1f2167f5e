"""The batching core: pure. It is told the time and what finished; it returns what to do.

No clock, no loop, no thread, no numpy: the same code runs in virtual time.
"""

from trtasync.scheduler.cost import CostCurve
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.policy import Policy
from trtasync.scheduler.work import Batch, Chunk, LaneState, Queue, Request

__all__ = [
    "Batch",
    "Chunk",
    "CostCurve",
    "LaneState",
    "Policy",
    "PolicyOptions",
    "Queue",
    "Request",
]
