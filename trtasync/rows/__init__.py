"""Whether the rows of a model are independent: a proof from its graph, and a test by running it.

Dynamic batching is correct only for independent rows, and a model file does not say whether they
are. The code that decides is loaded when a model is opened (`rows.judge`).
"""

from trtasync.rows.verdicts import Batching, Finding, Judgement, Trial, Verdict

__all__ = ["Batching", "Finding", "Judgement", "Trial", "Verdict"]
