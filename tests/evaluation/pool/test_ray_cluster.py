from __future__ import annotations

import tempfile

import pytest

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool import ray_cluster
from npu_tune.evaluation.pool.ray_cluster import MOST_BYTES_OF_FOLDER, short_folder

LONGEST_REST = "/session_2026-11-26_17-11-29_401172_4194304/sockets/plasma_store"
MOST_BYTES_OF_SOCKET = 107


@pytest.fixture
def place(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield folder


def test_rays_folder_is_made_where_the_environment_says(place):
    folder = short_folder()

    assert str(folder.parent) == place
    assert folder.stat().st_mode & 0o077 == 0
    assert len(f"{folder}{LONGEST_REST}") <= MOST_BYTES_OF_SOCKET


def test_the_longest_folder_leaves_room_for_rays_sockets():
    assert MOST_BYTES_OF_FOLDER + len(LONGEST_REST) <= MOST_BYTES_OF_SOCKET


def test_a_folder_with_a_long_path_is_passed_over(monkeypatch, tmp_path, place):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", place)

    assert str(short_folder().parent) == place


def test_a_machine_without_a_folder_that_is_short_enough_is_told(monkeypatch):
    monkeypatch.setattr(ray_cluster, "MOST_BYTES_OF_FOLDER", 18)
    with pytest.raises(ExecutorError, match=r"at most 1 characters.*RAY_TMPDIR"):
        short_folder()
