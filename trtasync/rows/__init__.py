"""Do the rows of a model influence each other? A proof from its graph, a check with itself.

A dynamic batcher is right only where they do not, and a model file does not say so.
"""

from trtasync.rows.verdicts import Finding, Trial, Verdict

__all__ = ["Finding", "Trial", "Verdict"]
