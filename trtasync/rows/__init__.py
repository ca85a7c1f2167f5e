"""Do the rows of a model influence each other? A proof from its graph, a check with itself.

A dynamic batcher is right only where they do not, and a model file does not say so. What decides is
loaded when a model is opened (`rows.judge`).
"""

from trtasync.rows.verdicts import Batching, Finding, Judgement, Trial, Verdict

__all__ = ["Batching", "Finding", "Judgement", "Trial", "Verdict"]
