"""The machine: cores, memory, threads, files, logs."""
