from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import Identity
from npu_tune.tuning.warm.lessons import Lesson, LessonTable, lessons_of, translated
from npu_tune.tuning.warm.matching import Match
from npu_tune.tuning.warm.source import WarmSource, WarmTrial

LAYERS = ("a", "b", "c", "d")
KNOBS = {"tile": (1, 2, 4), "place": ("ram", "flash"), "chain": (False, True)}
DEFAULT = {"network/order": "file"} | {
    f"{layer}/{name}": values[0] for layer in LAYERS for name, values in KNOBS.items()
}


def trial(changes, **costs):
    profile = {layer: {"cycles": costs.get(layer, 10.0), "live": 1.0} for layer in LAYERS}
    return WarmTrial(changes, {"time": sum(row["cycles"] for row in profile.values())}, profile)


def source(*trials):
    baseline = trial({})
    return WarmSource(
        "old",
        Identity("0" * 64, "npu", {}),
        "net",
        {},
        DEFAULT,
        baseline,
        [baseline, *trials],
        "cycles",
    )


def space(layers=LAYERS, tiles=(1, 2, 4), default=1):
    knobs = [Knob("network", "order", ("file", "memory"), "file")]
    for layer in layers:
        knobs += [
            Knob(layer, "tile", tiles, default),
            Knob(layer, "place", ("ram", "flash"), "ram"),
            Knob(layer, "chain", (False, True), False),
        ]
    return SearchSpace(tuple(knobs))


def test_a_lesson_is_what_one_change_did_to_a_layer_and_those_beside_it():
    lessons = lessons_of(source(trial({"b/tile": 2}, b=6.0, c=11.0, d=99.0)))

    assert lessons == [Lesson("b", "tile", 1, 2, 0.3, 1.0)]


def test_what_differs_beside_a_layer_or_in_the_whole_network_teaches_nothing_of_it():
    several = trial({"b/tile": 2, "c/tile": 4}, b=1.0)
    network = trial({"b/tile": 2, "network/order": "memory"}, b=1.0)
    two_knobs = trial({"b/tile": 2, "b/chain": True}, b=1.0)

    assert lessons_of(source(several, network, two_knobs)) == []


def test_what_changes_far_away_does_not_matter():
    far = trial({"a/tile": 2, "d/chain": True}, a=5.0, d=3.0)
    found = {(each.layer, each.knob): each.gain for each in lessons_of(source(far))}

    assert found == {("a", "tile"): 0.5, ("d", "chain"): 0.7}


def test_what_was_seen_several_times_is_averaged_and_weighs_more():
    once = trial({"a/tile": 2}, a=5.0)
    again = [trial({"d/place": "flash"}), trial({"a/tile": 2, "d/place": "flash"}, a=7.0)]
    lessons = lessons_of(source(once, *again))
    lesson = next(each for each in lessons if each.layer == "a")

    assert lesson == Lesson("a", "tile", 1, 2, pytest.approx(0.5), 1.0)
    third = trial({"a/chain": True}, a=8.0), trial({"a/chain": True, "a/tile": 2}, a=4.0)
    lesson = next(
        each
        for each in lessons_of(source(once, *third))
        if (each.layer, each.knob) == ("a", "tile")
    )
    assert (lesson.gain, lesson.weight) == (pytest.approx(0.45), 2.0)


_changes = st.dictionaries(st.sampled_from(sorted(DEFAULT)), st.integers(0, 2), max_size=4).map(
    lambda drawn: {
        name: KNOBS[name[2:]][at % len(KNOBS[name[2:]])]
        for name, at in drawn.items()
        if name[2:] in KNOBS
    }
)
_trials = st.lists(
    st.builds(
        lambda changes, costs: trial(changes, **dict(zip(LAYERS, costs, strict=True))),
        _changes,
        st.tuples(*[st.floats(0.5, 100.0)] * len(LAYERS)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_trials)
def test_a_lesson_transferred_from_a_network_to_itself_is_the_same_lesson(trials):
    known = source(*trials)
    lessons = lessons_of(known)
    match = Match.of_same(LAYERS, len(LAYERS))

    assert translated(lessons, known, match, space()) == lessons


@settings(max_examples=60, deadline=None)
@given(_trials)
def test_lessons_are_the_same_once_written_and_read(trials):
    for lesson in lessons_of(source(*trials)):
        kept = Lesson.of_list(lesson.to_list())

        assert kept.to_list() == lesson.to_list()
        assert kept.gain == pytest.approx(lesson.gain, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(_trials)
def test_a_change_taken_back_is_expected_to_cost_what_it_gained(trials):
    table = LessonTable(lessons_of(source(*trials)))
    for layer in LAYERS:
        for one in KNOBS["tile"]:
            for other in KNOBS["tile"]:
                gain = table.gain(layer, "tile", one, other)
                back = table.gain(layer, "tile", other, one)
                assert (gain is None) == (back is None)
                assert gain is None or gain == pytest.approx(-(back or 0.0))


def test_a_default_there_is_the_default_here_and_unknown_values_are_left_out():
    lessons = [
        Lesson("a", "tile", 1, 2, 0.5, 1.0),
        Lesson("a", "tile", 1, 4, 0.4, 1.0),
        Lesson("a", "gone", 0, 1, 0.4, 1.0),
    ]
    known = source()
    match = Match({"x": "a"}, 0, 1, {"x": (("a", 0.5),)})
    here = space(("x",), tiles=(8, 2), default=8)

    assert translated(lessons, known, match, here) == [Lesson("x", "tile", 8, 2, 0.5, 0.5)]


def test_of_several_layers_the_more_alike_ones_count_more():
    lessons = [Lesson("a", "tile", 1, 2, 0.5, 1.0), Lesson("b", "tile", 1, 2, -0.5, 1.0)]
    match = Match({"x": "a"}, 0, 1, {"x": (("a", 1.0), ("b", 0.25))})
    table = LessonTable(translated(lessons, source(), match, space(("x",))))

    assert table.gain("x", "tile", 1, 2) == pytest.approx((0.5 - 0.125) / 1.25)
    assert table.gain("x", "place", "ram", "flash") is None
    assert len(table) == 1


def test_a_source_without_profiles_teaches_nothing():
    bare = WarmTrial({"a/tile": 2}, {"time": 1.0}, {})
    assert lessons_of(source(bare)) == []
