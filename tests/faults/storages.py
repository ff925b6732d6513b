"""The storages of the matrix, each ready for studies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres_server import postgres_server


@contextmanager
def journal(folder: Path) -> Iterator[dict[str, Any]]:
    """A file in each study's folder."""
    yield {}


@contextmanager
def sqlite(folder: Path) -> Iterator[dict[str, Any]]:
    """A database that the studies share."""
    yield {"storage": f"sqlite:///{folder}/studies.db"}


@contextmanager
def postgresql(folder: Path) -> Iterator[dict[str, Any]]:
    """A server of Debian's package."""
    with postgres_server() as url:
        yield {"storage": f"{url}/postgres"}


STORAGES = {"journal": journal, "SQLite": sqlite, "PostgreSQL": postgresql}
