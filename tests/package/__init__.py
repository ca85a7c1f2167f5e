"""The package as a whole: names, imports, errors, lowest versions."""
