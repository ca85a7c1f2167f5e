"""A host between clients that say anything and one whose answers must stay right."""
