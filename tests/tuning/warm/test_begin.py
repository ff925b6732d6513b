from __future__ import annotations

import shutil

import pytest
from fake_studies import run_fake, story

from npu_tune.errors import NpuTuneWarning, UsageError
from npu_tune.tuning import parse_study, run_study
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.ledger.journal import JournalLedger
from npu_tune.tuning.warm.begin import WARM

N6 = "neural-art-stm32n6"


def run(folder, network, evaluations, *, target=N6, **study):
    document = {
        "model": {"path": network},
        "target": {"name": target},
        "executor": {"kind": "inline"},
        "study": {"folder": str(folder), "evaluations": evaluations, "polish": False, **study},
    }
    return run_study(parse_study(document, base=folder.parent))


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A folder with a study of one network, and its cache."""
    folder = tmp_path_factory.mktemp("known")
    run(folder / "first", "ds-cnn", 52, cache=str(folder / "cache"))
    return folder


def warm(result):
    return [trial.origin for trial in result.trials if "start: warm: " in trial.origin]


def taken(result):
    """Origins of starts out of other studies."""
    return [each for each in warm(result) if each not in tried(result)]


def tried(result):
    """Origins of trials that try choices of layers, or put them together."""
    begin = ("start: warm: tries choices of ", "start: warm: joins what paid in ")
    return [each for each in warm(result) if each.startswith(begin)]


def test_a_study_begins_with_what_another_one_found_after_the_targets_plans(
    known, tmp_path, caplog
):
    with caplog.at_level("INFO", logger="npu_tune"):
        result = run(tmp_path / "s", "st-mnist", 45, **{"from": [str(known / "first")]})
    origins = [trial.origin for trial in result.trials]
    first, last = origins.index(warm(result)[0]), origins.index(tried(result)[0])

    assert len(taken(result)) <= 12
    assert all(origin.startswith("start: ") for origin in origins[1 : last + 1])
    assert not any(
        "plan" in origin.split("(")[0] and "warm" not in origin for origin in origins[first:]
    )
    assert len(set(tried(result))) == len(tried(result)) > 5
    assert any("(ds-cnn on neural-art-stm32n6, " in each for each in caplog.messages)


def test_a_resume_goes_on_with_the_same_starts_without_the_source(known, tmp_path):
    shutil.copytree(known / "first", tmp_path / "first")
    asked = {"from": [str(tmp_path / "first")]}
    whole = run(tmp_path / "whole", "st-mnist", 40, **asked)
    run(tmp_path / "s", "st-mnist", 20, **asked)
    shutil.rmtree(tmp_path / "first")
    resumed = run(tmp_path / "s", "st-mnist", 40, **asked)

    assert tried(whole)
    assert warm(resumed) == warm(whole)
    assert story(resumed) == story(whole)


def kept(folder):
    """What the ledger of a study says that it began with."""
    with open_ledger(folder / "ledger.journal", name="", read_only=True) as ledger:
        return ledger.attributes().get(WARM)


def test_a_kill_at_any_write_leaves_no_study_or_one_with_its_warm_start(
    known, tmp_path, monkeypatch
):
    asked = {"from": [str(known / "first")]}
    set_attribute = JournalLedger.set_attribute
    left = 1000

    def write_or_die(self, key, value) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        set_attribute(self, key, value)

    monkeypatch.setattr(JournalLedger, "set_attribute", write_or_die)
    run(tmp_path / "whole", "st-mnist", 1, **asked)
    assert kept(tmp_path / "whole")["starts"]
    for writes in range(5):
        left = writes
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / f"{writes}", "st-mnist", 1, **asked)
        left = 1000
        run(tmp_path / f"{writes}", "st-mnist", 1, **asked)
        assert kept(tmp_path / f"{writes}") == kept(tmp_path / "whole")
    left = 1  # after what it begins with, and before it is a study
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cold", "st-mnist", 1, **asked)
    left = 1000
    run(tmp_path / "cold", "st-mnist", 1)
    assert kept(tmp_path / "cold") is None


def test_a_study_that_has_begun_says_that_other_sources_come_too_late(known, tmp_path):
    run(tmp_path / "s", "st-mnist", 10)
    with pytest.warns(
        NpuTuneWarning, match=r"has begun already, and takes nothing in from .*first"
    ):
        resumed = run(tmp_path / "s", "st-mnist", 12, **{"from": [str(known / "first")]})
    assert not warm(resumed)


def test_the_cache_may_be_what_a_study_begins_with(known, tmp_path):
    asked = {"from": ["cache"], "cache": str(known / "cache")}
    result = run(tmp_path / "s", "st-mnist", 40, **asked)

    assert all("the cache of ds-cnn on neural-art-stm32n6" in each for each in taken(result))
    assert tried(result)


def test_the_cache_is_refused_where_a_study_has_none(tmp_path):
    with pytest.raises(UsageError, match="names the cache, and this study has none"):
        run(tmp_path / "s", "st-mnist", 10, **{"from": ["cache"], "cache": False})


def test_a_study_on_a_target_of_another_family_is_refused_before_a_study_begins(known, tmp_path):
    asked = {"study": {"from": [str(known / "first")]}}
    with pytest.raises(UsageError, match="of which nothing can be transferred to fake-npu"):
        run_fake(tmp_path / "s", 10, **asked)
    assert not (tmp_path / "s" / "study.toml").exists()
