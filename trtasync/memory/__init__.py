"""Where batches are formed: slots, and the threads that copy rows into them."""
