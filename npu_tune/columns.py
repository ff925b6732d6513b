"""How wide text for people may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COLUMNS = 80
"""Where nobody says how wide: in files, pipes and mails."""

_COLUMNS: ContextVar[int] = ContextVar("columns", default=COLUMNS)


@contextmanager
def columns_of(width: int) -> Iterator[None]:
    """Within it, tables may be so wide."""
    token = _COLUMNS.set(width)
    try:
        yield
    finally:
        _COLUMNS.reset(token)


def text_columns() -> int:
    """How wide a table may be."""
    return _COLUMNS.get()
