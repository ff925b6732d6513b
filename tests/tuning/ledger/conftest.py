from __future__ import annotations

import uuid

import psycopg
import pytest


@pytest.fixture
def empty_database(postgres_url) -> str:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_url}/{name}"


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def place(request, tmp_path) -> str:
    """Where a ledger may be, once per kind of storage."""
    if request.param == "journal":
        return str(tmp_path / "study.journal")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return request.getfixturevalue("empty_database")
