from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from fake_targets import LayeredTarget, NoisyTarget, fake_network

from npu_tune.errors import StorageError, UsageError
from npu_tune.evaluation import Outcome, cache
from npu_tune.evaluation.cache import Cache, default_cache, named_cache, remove_file, samples_of
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.store_file import LOCK
from npu_tune.targets import Evaluation


@pytest.fixture
def environment(monkeypatch):
    for name in ("NPU_TUNE_CACHE", "NPU_TUNE_CACHE_LIMIT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    return monkeypatch


def problem_of(compiler="1"):
    return LayeredTarget(compiler=compiler).bind(fake_network())


def filled(folder, compiler, rows, used):
    """A store with rows, last used at some time."""
    place = named_cache(folder)
    with place.open(problem_of(compiler), {}) as store:
        for number in range(rows):
            profile = {f"layer{n}": {"cycles": n / 7 + number} for n in range(60)}
            store.learn(f"key{number}", Outcome(Evaluation({"cycles": 1.0}, profile), None))
        path = store.path
    os.utime(path, (used, used))
    return path


def test_the_users_cache_is_where_the_environment_says(environment):
    assert default_cache().folder == Path("/home/somebody/.cache/npu-tune/evaluations")
    environment.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_cache().folder == Path("/elsewhere/npu-tune/evaluations")
    environment.setenv("NPU_TUNE_CACHE", "~/kept")
    assert default_cache().folder == Path("/home/somebody/kept")
    environment.setenv("NPU_TUNE_CACHE", "")
    assert default_cache() is None


def test_the_limit_is_a_size(environment):
    assert default_cache().most_bytes == 2 * 2**30
    environment.setenv("NPU_TUNE_CACHE_LIMIT", "3 MiB")
    assert default_cache().most_bytes == named_cache(Path("x")).most_bytes == 3 * 2**20
    environment.setenv("NPU_TUNE_CACHE_LIMIT", "much")
    with pytest.raises(UsageError, match=r"NPU_TUNE_CACHE_LIMIT is 'much'.*500 MiB"):
        default_cache()


def test_what_measures_keeps_its_samples_under_the_name_of_the_machine():
    assert samples_of(problem_of()) == ""
    assert samples_of(NoisyTarget(LayeredTarget()).bind(fake_network())) == socket.gethostname()


def test_problems_that_were_not_used_longest_go_first_when_there_is_no_room(tmp_path):
    oldest, older = (filled(tmp_path, c, 150, used) for c, used in (("a", 1e9), ("b", 1.1e9)))
    newest = filled(tmp_path, "c", 150, 1.2e9)
    size = sum(each.size_bytes for each in Cache(tmp_path).files())
    small = Cache(tmp_path, is_named=True, most_bytes=int(size * 0.9))
    with small.open(problem_of("c"), {}) as store:
        assert store.count() == 150
    assert [each.exists() for each in (oldest, older, newest)] == [False, True, True]


def test_rows_of_the_only_problem_go_where_it_has_no_room_itself(tmp_path):
    path = filled(tmp_path, "a", 200, 1e9)
    small = Cache(tmp_path, is_named=True, most_bytes=path.stat().st_size // 2)
    with small.open(problem_of("a"), {}) as store:
        assert 40 < store.count() < 120
    assert path.stat().st_size < small.most_bytes


def test_a_file_that_is_open_is_not_removed(tmp_path):
    path = filled(tmp_path, "a", 3, 1e9)
    with Store(path) as store:
        store.find("key1")
        assert not remove_file(path)
        assert store.find("key1") is not None
    assert remove_file(path)
    assert [each.name for each in tmp_path.iterdir()] == [LOCK]


def test_a_cache_that_nobody_named_is_not_on_a_network_drive(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "is_on_network", lambda _: "nfs4")
    with pytest.raises(StorageError, match=r"network drive \(nfs4\).*NPU_TUNE_CACHE"):
        Cache(tmp_path).open(problem_of(), {})
    named_cache(tmp_path).open(problem_of(), {}).close()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert Cache(tmp_path / "nowhere").files() == []
