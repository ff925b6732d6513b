from __future__ import annotations

import pytest

N6 = "neural-art-stm32n6"


@pytest.fixture
def kept(npu_tune, here):
    """A cache with two problems."""
    for network in ("st-mnist", "ds-cnn"):
        npu_tune(
            "tune", network, "--target", N6, "--evaluations", 8, "--study", network,
            "--workers", 1, "--cache", "kept", "-q", "--no-polish",
        )  # fmt: skip
    return here / "kept"


def test_info_says_what_there_is(npu_tune, kept):
    ended = npu_tune("cache", "info", "--cache", "kept")
    document = npu_tune("cache", "info", "--cache", "kept", "--json").document

    assert ended.code == 0
    assert "16 evaluations of 2 problems" in ended.out
    assert {(p["model"], p["target"], p["evaluations"]) for p in document["problems"]} == {
        ("st-mnist", N6, 8),
        ("ds-cnn", N6, 8),
    }


def test_verify_finds_nothing_where_all_is_right(npu_tune, kept):
    ended = npu_tune("cache", "verify", "--cache", "kept", "--sample", 4)

    assert ended.code == 0
    assert f"st-mnist on {N6}: 4 checked, all equal." in ended.out


def test_verify_drops_what_differs_and_says_so_with_its_exit_code(npu_tune, kept):
    from npu_tune.evaluation.store import Store
    from npu_tune.evaluation.stored_outcome import StoredOutcome

    path = next(kept.glob("*.sqlite"))
    with Store(path) as store:
        one, other = list(store.rows())[:2]
        store.drop(one.key)
        store.learn_all([StoredOutcome(one.key, other.outcome, changes=one.changes)])
    ended = npu_tune("cache", "verify", "--cache", "kept", "--json")

    assert ended.code == 7
    (difference,) = [d for each in ended.document["verified"] for d in each["differences"]]
    assert difference["key"] == one.key
    assert npu_tune("cache", "verify", "--cache", "kept").code == 0


def test_verify_says_where_a_model_is_gone(npu_tune, here):
    npu_tune("convert", "st-mnist", "--out", "model.tflite", "--no-check")
    npu_tune(
        "tune", "model.tflite", "--target", N6, "--evaluations", 4, "--study", "s",
        "--workers", 1, "--cache", "kept", "-q", "--no-polish",
    )  # fmt: skip
    (here / "model.tflite").unlink()
    ended = npu_tune("cache", "verify", "--cache", "kept")

    assert ended.code == 0
    assert "not checked, as its model" in ended.out
    assert "is gone" in ended.out


def test_clear_removes_what_is_old_of_one_target_or_all(npu_tune, kept):
    assert (
        npu_tune("cache", "clear", "--cache", "kept", "--older-than", "1h", "--json").document[
            "removed"
        ]
        == 0
    )
    assert npu_tune("cache", "clear", "--cache", "kept", "--target", "other").code == 0
    assert len(list(kept.glob("*.sqlite"))) == 2
    assert npu_tune("cache", "clear", "--cache", "kept").out.startswith("Removed 16 evaluations")
    assert list(kept.glob("*.sqlite")) == []


def test_an_option_of_another_action_is_refused(npu_tune, here):
    ended = npu_tune("cache", "info", "--sample", 3)
    assert ended.code == 2
    assert "--sample says nothing to `npu-tune cache info`" in ended.err


def test_there_may_be_no_cache_at_all(npu_tune, here):
    ended = npu_tune("cache", "info")
    assert ended.code == 2
    assert "NPU_TUNE_CACHE is empty" in ended.err
