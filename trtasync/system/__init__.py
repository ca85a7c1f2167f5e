"""What the machine offers and how it is treated: cores, memory, threads, files, logs."""
