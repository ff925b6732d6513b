"""What the labels of a comparison become in tables and in the names of files."""

from __future__ import annotations

import re
from collections.abc import Iterable

ALL_TARGETS = "all"
"""Stands in tables in the place of a target for all of them together."""


def file_words(labels: Iterable[str]) -> str:
    """Labels as a part of a file name; two dashes between them."""
    return "--".join(re.sub(r"[^A-Za-z0-9.]+", "-", label)[:40].strip("-.") for label in labels)
