"""Everything between `infer` and a runtime: batches start, end and are answered."""
