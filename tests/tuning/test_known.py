from __future__ import annotations

from npu_tune.space import Configuration
from npu_tune.tuning.known import KnownTrials
from npu_tune.tuning.trial import TrialRecord

DEFAULT = Configuration.of({"a/knob": 0})


def record(number, **fields):
    return TrialRecord(number=number, configuration=DEFAULT, **fields)


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


def test_samples_of_a_configuration_are_counted_whatever_their_order():
    known = KnownTrials([("a", record(0)), ("a", record(1, sample=2)), ("a", record(2, sample=1))])

    assert known.samples("a") == 3
    assert known.samples("b") == 0


def test_what_was_lost_or_repeated_is_no_sample():
    known = KnownTrials([("a", record(0, failure="infrastructure"))])
    known.learn("a", record(1, duplicate_of=0))

    assert known.samples("a") == 0


def test_every_evaluation_of_a_configuration_gets_a_number_of_its_own_however_they_end():
    known = KnownTrials([("a", record(0))])

    assert [known.take_sample("a") for _ in range(2)] == [1, 2]
    known.learn("a", record(1, sample=2))
    assert known.take_sample("a") == 3
    known.learn("a", record(2, sample=1))
    assert known.take_sample("a") == 4
