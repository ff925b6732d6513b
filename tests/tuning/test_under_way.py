"""What a driver has under way."""

from __future__ import annotations

from evaluations import SPACE
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.tuning.recorder import Proposal
from npu_tune.tuning.under_way import UnderWay

ORIGINS = ("sampler", "start: one", "polish: layer0/block")

steps = st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from(ORIGINS)))


@given(steps)
def test_it_tells_what_looking_through_all_proposals_tells(steps):
    running, expected = UnderWay(), {}
    for ticket, (begins, key, origin) in enumerate(steps):
        if begins or not expected:
            expected[ticket] = Proposal(None, SPACE.default, key, origin)
            running.begin(ticket, expected[ticket])
        else:
            ended = min(expected)
            assert running.end(ended) is expected.pop(ended)

        reverts = [p.configuration for p in expected.values() if p.origin.startswith("polish: ")]
        assert (len(running), list(running)) == (len(expected), list(expected.values()))
        assert {key for key in "abc" if running.has(key)} == {p.key for p in expected.values()}
        assert running.reverts == reverts
        assert running.is_searching == (len(reverts) < len(expected))


def test_what_is_dropped_is_under_way_no_more():
    running = UnderWay()
    for ticket, key in enumerate("aab"):
        running.begin(ticket, Proposal(None, SPACE.default, key, "sampler"))

    running.drop([1, 2])

    assert (len(running), running.has("a"), running.has("b")) == (1, True, False)
