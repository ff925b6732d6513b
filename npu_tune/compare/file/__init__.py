"""The comparison file: its sections, and reading it."""
