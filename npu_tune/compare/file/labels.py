"""Labels of a comparison in tables and in the names of files."""

from __future__ import annotations

import re
from collections.abc import Iterable

ALL_TARGETS = "all"
"""Label of all targets together, in tables that have a target per row."""


def file_words(labels: Iterable[str]) -> str:
    """Joins labels to a part of a file name, by two dashes."""
    return "--".join(re.sub(r"[^A-Za-z0-9.]+", "-", label)[:40].strip("-.") for label in labels)
