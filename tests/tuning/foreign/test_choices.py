from __future__ import annotations

import pytest
from foreign_studies import fake_problem
from optuna.distributions import CategoricalDistribution, IntDistribution

from npu_tune.errors import StudyMismatchError
from npu_tune.space import to_distributions, to_params
from npu_tune.tuning.foreign.choices import ForeignChoices


@pytest.fixture
def space():
    with fake_problem() as problem:
        yield problem.space


@pytest.fixture
def layer(space):
    return next(each for each in space.layers if each != "network")


def test_what_our_distributions_gave_is_read_back_whole(space):
    configuration = space.default.replace({k.full_name: k.values[-1] for k in space.knobs})
    read = ForeignChoices(space, {}).read(to_params(space, configuration), to_distributions(space))
    assert read == dict(configuration)


def test_a_choice_among_a_knobs_own_values_is_the_value_itself(space, layer):
    name = f"{layer}/stripe"
    asked = {name: CategoricalDistribution((4, 2))}
    assert ForeignChoices(space, {}).read({name: 4}, asked) == {name: 4}


def test_what_was_enqueued_is_read_as_the_other_trials_were_asked(space, layer):
    name = f"{layer}/stripe"
    by_value = {name: CategoricalDistribution((1, 2, 4))}
    assert ForeignChoices(space, by_value).read({name: 2}, {}) == {name: 2}
    assert ForeignChoices(space, {}).read({name: 2}, {}) == {name: 4}


@pytest.mark.parametrize(
    ("knob", "param", "asked_of", "said"),
    [
        ("stripe", 2, IntDistribution(1, 4), "neither"),
        ("stripe", 1, CategoricalDistribution((1, 3)), "neither"),
        ("stripe", 3, None, "no value number 3"),
        ("stripe", "4", None, "no value number '4'"),
        ("traversal", "wide", CategoricalDistribution(("wide", "part")), "no value 'wide'"),
        ("travesal", "part", CategoricalDistribution(("depth", "part")), "Did you mean"),
    ],
)
def test_what_could_be_read_in_two_ways_or_is_not_offered_is_refused(
    space, knob, param, asked_of, said
):
    name = f"{space.layers[1]}/{knob}"
    distributions = {} if asked_of is None else {name: asked_of}
    with pytest.raises(StudyMismatchError) as refusal:
        ForeignChoices(space, {}).read({name: param}, distributions)
    assert said in str(refusal.value)


def test_a_trial_that_chooses_nothing_says_nothing(space):
    with pytest.raises(StudyMismatchError, match="chooses no knob"):
        ForeignChoices(space, {}).read({}, {})
