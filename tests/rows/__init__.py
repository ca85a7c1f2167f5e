"""Whether the rows of a batch depend on each other: proof, check and axes."""
