from __future__ import annotations

import warnings

import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import LayeredTarget

from npu_tune.errors import NpuTuneWarning, StorageError
from npu_tune.tuning import parse_study, run_study
from npu_tune.tuning.caching import study_cache

TARGET = "neural-art-stm32n6"


def run_named(folder, evaluations=12, **study):
    """A study on a target that is made by its name."""
    document = {
        "model": {"path": "st-mnist"},
        "target": {"name": TARGET},
        "sampler": {"name": "random"},
        "executor": {"kind": "inline"},
        "study": {"folder": str(folder), "evaluations": evaluations, "polish": False, **study},
    }
    return run_study(parse_study(document, base=folder.parent))


@pytest.fixture
def users(tmp_path, monkeypatch):
    """The user's cache."""
    monkeypatch.setenv("NPU_TUNE_CACHE", str(tmp_path / "users"))
    return tmp_path / "users"


def test_a_study_uses_what_it_names_or_the_users_cache_or_none(tmp_path, users):
    asked = {name: fake_study(tmp_path / "s", study={"cache": value})
             for name, value in (("named", str(tmp_path / "x")), ("none", False))}  # fmt: skip
    asked["users"] = fake_study(tmp_path / "s")

    assert study_cache(asked["named"], by_name=False).folder == tmp_path / "x"
    assert study_cache(asked["none"], by_name=True) is None
    assert study_cache(asked["users"], by_name=True).folder == users
    assert study_cache(asked["users"], by_name=False) is None


def test_what_another_study_has_evaluated_comes_from_a_named_cache(tmp_path):
    first = run_named(tmp_path / "a", cache=str(tmp_path / "kept"))
    second = run_named(tmp_path / "b", cache=str(tmp_path / "kept"))

    assert story(second) == story(first)
    assert not any(trial.cached for trial in first.trials)
    assert all(trial.cached for trial in second.trials if trial.duplicate_of is None)


def test_a_study_that_wants_none_keeps_nothing(tmp_path, users):
    run_named(tmp_path / "a", cache=False)
    assert not users.exists()


def test_a_target_given_as_a_value_uses_no_cache_that_nobody_named(tmp_path, users):
    run_fake(tmp_path / "a", target=LayeredTarget())
    assert not users.exists()


def test_a_study_goes_on_without_the_users_cache_where_that_is_no_good(tmp_path, users):
    users.write_text("no folder")
    with pytest.warns(NpuTuneWarning, match=r"Evaluations are not cached: .*--no-cache"):
        result = run_named(tmp_path / "a")
    assert sum(trial.duplicate_of is None for trial in result.trials) == 12


def test_a_named_cache_that_is_no_good_ends_the_study(tmp_path):
    (tmp_path / "kept").write_text("no folder")
    with pytest.raises(StorageError, match="kept"):
        run_named(tmp_path / "a", cache=str(tmp_path / "kept"))


def test_a_resume_says_which_trials_came_from_the_cache(tmp_path):
    run_named(tmp_path / "a", cache=str(tmp_path / "kept"))
    run_named(tmp_path / "b", 6, cache=str(tmp_path / "kept"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        result = run_named(tmp_path / "b", 12, cache=str(tmp_path / "kept"))
    assert sum(trial.cached for trial in result.trials) == 12
