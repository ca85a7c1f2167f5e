"""The memory of batches: slots, and the threads that copy rows into them."""
