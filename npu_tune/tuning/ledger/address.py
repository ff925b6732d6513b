"""What names the place of a ledger: the path of a journal file, or the address of a database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from npu_tune.errors import UsageError
from npu_tune.files import storage_errors
from npu_tune.tuning.ledger.server_address import (
    REDIS,
    SERVERS,
    ServerKind,
    address_error,
    check_server,
    listed,
    server_kind,
)
from npu_tune.validation import closest_hint, key_note

if TYPE_CHECKING:
    import sqlalchemy

JOURNAL, SQLITE = "journal", "sqlite"

SQLITE_MARK = b"SQLite format 3\0"
"""What every database file begins with (the file format's description, section 1.3)."""

_SCHEMES = (JOURNAL, SQLITE, *SERVERS)
_KINDS = (
    "Use the path of a journal file, sqlite:///PATH, postgresql://USER@HOST:5432/DATABASE, "
    "mysql://USER@HOST:3306/DATABASE or redis://HOST:6379/0."
)
_SQLITE_FORM = "Write sqlite:///PATH, with four slashes where the path is absolute."

_SQLITE_OPTIONS = {
    "timeout": r"\d+(\.\d*)?",
    "check_same_thread": "true|false",
    "cached_statements": r"\d+",
}
"""Those of Python's sqlite3 that change nothing of what is stored where, and their values."""


def check_address(text: str) -> None:
    """Checks the form of what names a storage; nothing is opened, and no password is repeated.

    Args:
        text: the path of a journal file, ``journal://path``, ``sqlite:///path``,
            ``postgresql://user:password@host/database``, ``mysql://...`` or
            ``redis://host:6379/0``.

    Raises:
        UsageError: says what is wrong and how it is written. Its ``data["shown"]`` is what may
            be shown of the text.
    """
    scheme, separator, rest = text.partition("://")
    if "\0" in text or (separator and "%00" in text):
        raise address_error("The storage's name holds a zero byte.", _KINDS, "...")
    if not separator:
        _check_path(text)
        return
    dialect, _, driver = scheme.partition("+")
    if dialect == JOURNAL:
        _check_path(rest)
    elif dialect == SQLITE:
        _check_sqlite(rest, driver)
    elif dialect in SERVERS:
        check_server(rest, dialect)
    else:
        raise address_error(
            f"The storage is of an unknown kind, {dialect!r}.",
            f"{closest_hint(dialect.lower(), _SCHEMES)}{_KINDS}",
            f"{dialect}://...",
        )


def check_place(text: str, *, folder: Path) -> None:
    """Checks that a file of this address can be made, before anything is.

    Args:
        text: an address of good form.
        folder: of the study, which is made where it is not there.

    Raises:
        UsageError: if it is a folder or a device, or the folder in which it would lie is not
            there.
        StorageError: if no file can have that name.
    """
    path = _file(text)
    if path is None:
        return
    with storage_errors("The storage", path, action="used"):
        _check_file(path, text, folder=folder.resolve())


def _check_file(path: Path, text: str, *, folder: Path) -> None:
    place = path.resolve()
    parent = place.parent
    if place.is_dir():
        raise address_error(
            f"The storage{key_note('study.storage')} {path} is a folder.",
            "Name a file in it, such as trials.db.",
            text,
        )
    if place.exists() and not place.is_file():
        raise address_error(
            f"The storage{key_note('study.storage')} {path} is no regular file.",
            "Name a file, such as trials.db.",
            text,
        )
    if not parent.is_dir() and parent != folder and parent not in folder.parents:
        raise address_error(
            f"The storage{key_note('study.storage')} {path} lies in a folder that is not there.",
            f"Make {parent}, or name another place.",
            text,
        )


def has_password(text: str) -> bool:
    """Whether an address of good form holds a password."""
    return _file(text) is None and parse_url(text).password is not None


def shown_place(text: str) -> str:
    """An address of good form as people may read it: without a password."""
    path = journal_path(text)
    return str(path) if path is not None else parse_url(text).render_as_string(hide_password=True)


def is_same_place(one: str, other: str) -> bool:
    """Whether two addresses of good form lead to the same file or database, whoever logs in."""
    return _place(one) == _place(other)


def _place(text: str) -> tuple[Any, ...]:
    path = _file(text)
    if path is not None:
        return (path.resolve(),)
    url, kind = parse_url(text), _server(text)
    database = url.database or ("0" if kind.backend == "redis" else None)
    return kind.backend, url.host or url.query.get("host"), url.port or kind.port, database


def _server(text: str) -> ServerKind:
    kind = server_kind(text)
    if kind is None:
        raise ValueError(f"{text!r} leads to no server")
    return kind


def journal_path(text: str) -> Path | None:
    """The path of a journal file; None for the address of a database."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    return Path(rest) if scheme == JOURNAL else None


def parse_url(text: str) -> sqlalchemy.URL:
    """The URL of a database, with the driver this package brings.

    Args:
        text: an address of good form.
    """
    import sqlalchemy  # noqa: PLC0415 - slow to import

    url, kind = sqlalchemy.make_url(text), server_kind(text)
    if kind is None:
        return url
    # Where the password stands decides whether messages hide it.
    password: Any = url.query.get("password")
    if password is not None:
        url = url.difference_update_query(["password"]).set(password=password)
    return url if kind is REDIS else url.set(drivername=kind.drivername)


def optuna_address(text: str) -> str:
    """What Optuna's own tools take in the place of an address of good form.

    Returns:
        The path of a journal file, or a URL with the driver that this package brings; of a
        password there are asterisks.
    """
    path = journal_path(text)
    if path is not None:
        return str(path)
    return parse_url(text).render_as_string(hide_password=True)


def _file(text: str) -> Path | None:
    """The file of a storage; None where it is on a server."""
    scheme, _, rest = text.partition("://")
    if scheme.partition("+")[0] == SQLITE and rest:
        return Path(parse_url(text).database or "")
    return journal_path(text)


def _check_path(text: str) -> None:
    if not text.strip():
        raise address_error("The storage is empty.", _KINDS, repr(text))
    if text == ":memory:":
        raise _memory_error("This storage", text)
    # What is meant as an address may hold a password, so that nothing of it is shown.
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    name = scheme[1].partition("+")[0].lower() if scheme else ""
    is_address = (
        name in {*_SCHEMES, "file"}
        or closest_hint(name, _SCHEMES)
        or re.match(r"[^/]*:[^@]*@", text)
        or re.search(r"\b(host|dbname|password)\s*=", text)
    )
    if is_address:
        raise address_error("The storage is neither a path nor an address.", _KINDS, "...")


def _check_sqlite(rest: str, driver: str) -> None:
    path, _, query = rest.partition("?")
    shown = f"{SQLITE}://{rest}"
    options = dict(parse_qsl(query, keep_blank_values=True))
    is_memory = (
        path in {"", "/"}
        or ":memory:" in path
        or options.get("mode") == "memory"
        or options.get("vfs") == "memdb"
    )
    if is_memory:
        raise _memory_error("This SQLite database", shown)
    if driver not in {"", "pysqlite"}:
        raise address_error(
            f"SQLite is not read by the driver {driver!r} here.", _SQLITE_FORM, shown
        )
    if not path.startswith("/"):
        raise address_error(
            "A SQLite address has three slashes before the path.", _SQLITE_FORM, shown
        )
    if path.startswith("/file:"):
        raise address_error(
            "A SQLite address takes a path, and no URI of a file.", _SQLITE_FORM, shown
        )
    for name, value in options.items():
        if name not in _SQLITE_OPTIONS:
            raise address_error(
                f"A SQLite address has no option {name!r} here.",
                f"Leave it out, or take one of {listed(_SQLITE_OPTIONS)}.",
                shown,
            )
        if not re.fullmatch(_SQLITE_OPTIONS[name], value):
            raise address_error(
                f"The option {name!r} of the SQLite address cannot be {value!r}.",
                "Write a number of seconds, such as timeout=30."
                if name == "timeout"
                else "Change the value, or leave the option out.",
                shown,
            )


def _memory_error(what: str, shown: str) -> UsageError:
    return address_error(
        f"{what} is in memory, which keeps no trials.",
        f"Name a file: {_SQLITE_FORM[0].lower()}{_SQLITE_FORM[1:]}",
        shown,
    )
