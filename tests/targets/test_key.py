from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from fake_targets import LayeredTarget, WrappedTarget, fake_network

from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import ConfigurationKeys, Identity

SPACE = LayeredTarget().space(fake_network())


def keys(model="m", target="t", fingerprint=None, space=SPACE):
    return ConfigurationKeys(Identity(model, target, fingerprint or {"version": "1"}), space)


def test_configurations_that_compile_to_the_same_have_the_same_key():
    # The stripe height makes no difference where the cascade is off.
    off = SPACE.configuration({"layer0/stripe": 4})
    on = SPACE.configuration({"layer0/stripe": 4, "layer0/cascade": True})

    assert keys().key(off) == keys().key(SPACE.default)
    assert keys().key(on) != keys().key(SPACE.configuration({"layer0/cascade": True}))


def test_the_key_of_an_effective_configuration_is_that_of_every_one_that_comes_to_it():
    off = SPACE.configuration({"layer0/stripe": 4})

    assert keys().key_of_effective(SPACE.effective(off)) == keys().key(off)


def test_another_model_target_or_compiler_has_another_key():
    all_keys = {
        made.key(SPACE.default)
        for made in (keys(), keys("n"), keys(target="u"), keys(fingerprint={"version": "2"}))
    }

    assert len(all_keys) == 4


def test_another_default_has_another_key():
    # Both differ from their default in nothing.
    one, other = (SearchSpace((Knob("a", "knob", (0, 1), default),)) for default in (0, 1))

    assert keys(space=one).key(one.default) != keys(space=other).key(other.default)


def test_the_order_of_the_fingerprint_makes_no_difference():
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}

    assert keys(fingerprint=one).key(SPACE.default) == keys(fingerprint=other).key(SPACE.default)


def test_values_that_python_takes_for_one_another_have_the_key_of_the_knobs_own():
    space = SearchSpace((Knob("a", "knob", (1, 2), 1),))
    default = space.default

    same = {keys(space=space).key(default.replace({"a/knob": one})) for one in (1, 1.0, True)}
    assert len(same) == 1


def test_one_and_true_are_different_values_of_different_knobs():
    numbers = SearchSpace((Knob("a", "knob", (0, 1), 1),))
    flags = SearchSpace((Knob("a", "knob", (False, True), True),))

    assert keys(space=numbers).key(numbers.default) != keys(space=flags).key(flags.default)


@pytest.mark.parametrize("field", ["blocks", "compiler", "layer_cycles", "forbidden_block"])
def test_every_option_of_a_target_is_in_the_key(field):
    changed = LayeredTarget(**{field: {"blocks": 3, "compiler": "2"}.get(field, 24)})
    configuration = SPACE.configuration({"layer0/block": 16})

    one, other = (target.bind(fake_network()) for target in (LayeredTarget(), changed))
    assert one.key(configuration) != other.key(configuration)


def test_a_wrapper_is_in_the_key():
    one, other = (t.bind(fake_network()) for t in (LayeredTarget(), WrappedTarget()))

    assert one.key(SPACE.default) != other.key(SPACE.default)


def test_a_key_is_the_same_in_another_process():
    program = (
        "from fake_targets import LayeredTarget, fake_network;"
        "problem = LayeredTarget().bind(fake_network());"
        "print(problem.key(problem.space.configuration({'layer1/block': 24})))"
    )
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {support!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )

    problem = LayeredTarget().bind(fake_network())
    key = problem.key(problem.space.configuration({"layer1/block": 24}))
    assert done.stdout.strip() == key


def test_an_identity_survives_pickling_and_json():
    identity = LayeredTarget().bind(fake_network()).identity

    assert pickle.loads(pickle.dumps(identity)) == identity  # noqa: S301 - made here
    assert list(identity.differences(identity.to_dict())) == []


def test_what_differs_from_a_stored_identity_is_told_with_both_values():
    stored = Identity("m", "t", {"version": "1", "old": "x"}).to_dict()
    own = Identity("n", "t", {"version": "2"})

    assert list(own.differences(stored)) == [
        ("model (SHA-256)", "m", "n"),
        ("target's old", "x", None),
        ("target's version", "1", "2"),
    ]


def test_an_identity_of_an_earlier_schema_may_lack_parts_of_the_fingerprint():
    stored = Identity("m", "t", {"version": "1"}, schema_version=1).to_dict()

    assert list(Identity("m", "t", {"version": "1", "new": "x"}).differences(stored)) == []


def test_an_identity_of_a_schema_that_nobody_knows_differs():
    stored = Identity("m", "t", {}, schema_version=99).to_dict()

    assert list(Identity("m", "t", {}).differences(stored)) == [("version of the contents", 99, 2)]
