"""A real model, a recogniser of text lines, through ours and through peers: see `__main__`."""
