"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from hypothesis import settings
from mariadb_server import mariadb_server
from playwright.sync_api import Browser
from postgres_server import postgres_server
from redis_server import redis_server
from servers import NoServerError

# No test, nor what it starts, uses the evaluations that the user has kept.
os.environ["NPU_TUNE_CACHE"] = ""

# Before anything imports onnxruntime; see npu_tune.network.onnx.runtime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The same examples in every run, however long one takes on a busy machine.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

pytest.register_assert_rewrite("optuna.testing.pytest_samplers")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder with the real networks of the tests; ``NPU_TUNE_MODELS`` names another one."""
    default = Path(__file__).resolve().parents[2] / "shared" / "models"
    folder = Path(os.environ.get("NPU_TUNE_MODELS", default))
    if not folder.is_dir():
        pytest.skip(f"the networks of the tests are not at {folder}; set NPU_TUNE_MODELS")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; a test makes its own pages and contexts, and closes them."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this session, as a URL up to the name of the database."""
    try:
        with postgres_server() as url:
            yield url
    except NoServerError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A MariaDB server of this session, as a URL up to the name of the database."""
    try:
        with mariadb_server() as url:
            yield url
    except NoServerError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of this session, as a URL up to the number of the database."""
    try:
        with redis_server() as url:
            yield url
    except NoServerError as reason:
        pytest.skip(str(reason))
