"""The batching core: pure. It is told the time and what finished; it returns what to do.

No clock, no loop, no thread, no numpy: the same code runs in virtual time.
"""

from trtasync.batching.cost import CostCurve
from trtasync.batching.options import PolicyOptions
from trtasync.batching.policy import Policy
from trtasync.batching.work import Batch, Group, LaneState, Part, Ticket

__all__ = [
    "Batch",
    "CostCurve",
    "Group",
    "LaneState",
    "Part",
    "Policy",
    "PolicyOptions",
    "Ticket",
]
