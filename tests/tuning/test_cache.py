from __future__ import annotations

from fake_targets import LayeredTarget, fake_network

from npu_tune.tuning.cache import EvaluationKeys, KnownTrials
from npu_tune.tuning.records import TrialRecord

SPACE = LayeredTarget().space(fake_network())


def keys(model="m", target="t", fingerprint=None):
    return EvaluationKeys(model, target, fingerprint or {"version": "1"}, SPACE)


def test_configurations_that_compile_to_the_same_have_the_same_key():
    # The stripe height makes no difference where the cascade is off.
    off = SPACE.configuration({"layer0/stripe": 4})
    on = SPACE.configuration({"layer0/stripe": 4, "layer0/cascade": True})

    assert keys().key(off) == keys().key(SPACE.default)
    assert keys().key(on) != keys().key(SPACE.configuration({"layer0/cascade": True}))


def test_another_model_target_or_compiler_has_another_key():
    all_keys = {
        made.key(SPACE.default)
        for made in (keys(), keys("n"), keys(target="u"), keys(fingerprint={"version": "2"}))
    }

    assert len(all_keys) == 4


def test_the_order_of_the_fingerprint_makes_no_difference():
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}

    assert keys(fingerprint=one).key(SPACE.default) == keys(fingerprint=other).key(SPACE.default)


def record(number, **fields):
    return TrialRecord(number=number, configuration=SPACE.default, **fields)


def test_the_first_answer_is_kept():
    known = KnownTrials([("a", record(0)), ("a", record(1)), ("b", record(2, failure="crash"))])

    assert known.find("a").number == 0
    assert known.find("b").number == 2
    assert known.find("c") is None


def test_a_lost_worker_and_a_duplicate_are_no_answers():
    lost = record(0, failure="infrastructure")
    known = KnownTrials([("a", lost), ("b", record(1, duplicate_of=0))])

    assert known.find("a") is None
    assert known.find("b") is None
