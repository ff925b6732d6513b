"""Addresses of servers: their form, and what is left out of them where it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from npu_tune.errors import MissingExtraError, UsageError
from npu_tune.validation import SHOWN


@dataclass(frozen=True)
class ServerKind:
    """What the addresses of one kind of server have in common.

    Args:
        backend: what SQLAlchemy calls it; ``redis`` for Redis.
        drivername: with the driver that this package brings.
        port: where none is given.
        extra: of this package, that brings the driver.
        form: how an address is written.
        elsewhere: where a password may stand instead; empty where it may not.
    """

    backend: str
    drivername: str
    port: int
    extra: str
    form: str
    elsewhere: str = ""


POSTGRESQL = ServerKind(
    "postgresql",
    "postgresql+psycopg",
    5432,
    "postgres",
    "Write it like postgresql://USER:PASSWORD@HOST:5432/DATABASE.",
    ", or leave the password out of the address and put it into ~/.pgpass",
)
MYSQL = ServerKind(
    "mysql",
    "mysql+pymysql",
    3306,
    "mysql",
    "Write it like mysql://USER:PASSWORD@HOST:3306/DATABASE.",
    ", or leave the password out of the address and name a file that has it with "
    "?read_default_file=/home/me/.my.cnf",
)
REDIS = ServerKind("redis", "redis", 6379, "redis", "Write it like redis://:PASSWORD@HOST:6379/0.")

SERVERS: Mapping[str, ServerKind] = {
    "postgresql": POSTGRESQL,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "redis": REDIS,
    "rediss": REDIS,
}
"""By the name that an address begins with; ``rediss`` is Redis over TLS."""

_RESERVED = re.compile(r"[@:/?#\s]|%(?![0-9A-Fa-f]{2})")
"""What must not stand in a name or a password as it is (RFC 3986, section 3.2.1), or a lone %."""


def server_kind(text: str) -> ServerKind | None:
    """The kind of server that an address leads to; None for a file."""
    scheme, separator, _ = text.partition("://")
    return SERVERS.get(scheme.partition("+")[0]) if separator else None


def missing_driver(address: str, place: str, package: str | None) -> MissingExtraError:
    """The error for a storage whose driver is not installed; its remedy names the extra.

    Args:
        address: of the storage.
        place: the same, as it may be shown.
        package: that is missing.
    """
    kind = server_kind(address)
    extra = "all" if kind is None else kind.extra
    return MissingExtraError(
        f"The storage {place} needs the Python package {package!r}.",
        remedy=f"Install it with `pip install 'npu-tune[{extra}]'`.",
        package=package,
    )


def check_server(rest: str, scheme: str) -> None:
    """Checks user, password, host and port; the last @ is taken for the one before the host.

    Args:
        rest: of the address, behind ``://``.
        scheme: without a driver.

    Raises:
        UsageError: says what is wrong and how it is written.
    """
    kind, shown = SERVERS[scheme], f"{scheme}://..."
    place, _, query = rest.partition("?")
    if "@" in query:
        raise address_error(
            "The storage's address holds an '@' behind a '?', so that its host is not known.",
            f"Write {_escape('@')}, and {_escape('?')} where it is part of the password"
            f"{kind.elsewhere}.",
            shown,
        )
    login, _, server = place.rpartition("@")
    user, _, password = login.partition(":")
    for what, part in (("user name", user), ("password", password)):
        marks = list(dict.fromkeys(_RESERVED.findall(part)))
        if marks:
            raise address_error(
                f"The {what} in the storage's address holds {listed(map(repr, marks))}, which "
                "is not to be taken as it is.",
                f"Write {listed(map(_escape, marks))}{kind.elsewhere}.",
                shown,
            )
    host, slash, database = server.partition("/")
    port = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]#\s]*)(?::(\d*))?", host)
    if port is None or (port[2] is not None and not 0 < int(port[2] or 0) < 2**16):
        raise address_error(
            "The storage's address has no host and port where they should stand.",
            f"{kind.form} A port is a number from 1 to 65535.",
            shown,
        )
    if not _is_host(port[1] or ""):
        raise address_error(
            "The host in the storage's address is no name that a server can have.",
            kind.form,
            shown,
        )
    if slash and re.search(r"\s", database):
        raise address_error(
            "The name of the database in the storage's address holds a space.",
            "Write it as %20.",
            shown,
        )
    _check_database(database, query, kind, shown)


def _check_database(database: str, query: str, kind: ServerKind, shown: str) -> None:
    if kind is MYSQL and not database:
        raise address_error("The storage's address names no database.", kind.form, shown)
    if kind is not REDIS:
        return
    if not re.fullmatch(r"\d{0,6}", database):
        raise address_error(
            "The database of a Redis server is a number, which the storage's address does not "
            "end with.",
            kind.form,
            shown,
        )
    if query:
        raise address_error(
            "A Redis address takes no options behind a '?' here.", kind.form, shown
        )


def _is_host(name: str) -> bool:
    """Whether the parts of a host's name can be looked up (RFC 1035, section 2.3.4)."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def _escape(mark: str) -> str:
    return f"{mark!r} as {quote(mark, safe='')}"


def listed(parts: Iterable[str]) -> str:
    """Words in a row, the last two joined by an "and"."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def address_error(message: str, remedy: str, shown: str) -> UsageError:
    """What is wrong with an address, of which only ``shown`` is repeated."""
    return UsageError(message, remedy=remedy, **{SHOWN: shown})
