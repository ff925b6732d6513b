from __future__ import annotations

import itertools
import uuid

import psycopg
import pymysql
import pytest
from servers import KINDS
from sqlalchemy import make_url

_numbers = itertools.count(1)


@pytest.fixture
def empty_database(postgres_url) -> str:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_url}/{name}"


@pytest.fixture
def empty_mysql(mariadb_url) -> str:
    name, url = f"test_{uuid.uuid4().hex}", make_url(mariadb_url)
    with pymysql.connect(host=url.host, port=url.port, user=url.username) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return f"{mariadb_url}/{name}"


@pytest.fixture
def empty_redis(redis_url) -> str:
    return f"{redis_url}/{next(_numbers)}"


@pytest.fixture
def place_of(request, tmp_path):
    """Makes a place for a ledger, by the kind of storage."""

    def make(kind: str) -> str:
        if kind == "journal":
            return str(tmp_path / "study.journal")
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'study.db'}"
        fixtures = {"postgresql": "empty_database", "mysql": "empty_mysql", "redis": "empty_redis"}
        return request.getfixturevalue(fixtures[kind])

    return make


@pytest.fixture(params=KINDS)
def place(request, place_of) -> str:
    """Where a ledger may be, once per kind of storage."""
    return place_of(request.param)
