"""Decides when which rows run where. Pure: given the time and events, it returns what to do.

No clock, no loop, no thread, no numpy: the same code runs in virtual time.
"""

from trtasync.scheduler.batches import Batch
from trtasync.scheduler.cost import CostCurve
from trtasync.scheduler.devices import LaneState
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.policy import Policy
from trtasync.scheduler.queues import Queue
from trtasync.scheduler.requests import Chunk, Request

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
