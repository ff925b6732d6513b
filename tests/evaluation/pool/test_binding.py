from __future__ import annotations

import dataclasses
import sys

import pytest
from evaluations import NETWORK, SPACE
from fake_targets import LayeredTarget, NoisyTarget, WrappedTarget, fake_network

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool import Binding, BoundProblem

PROBLEM = LayeredTarget().bind(NETWORK)


def travelled(binding: Binding) -> Binding:
    """The same binding as another process gets it."""
    return Binding(binding.digest, payload=binding.payload)


def test_target_and_network_survive_the_journey():
    target, arrived = travelled(Binding.of(PROBLEM)).parts

    assert target == LayeredTarget()
    assert arrived.digest == NETWORK.digest
    # Attributes of layers are read-only mappings, which Python does not pickle itself.
    assert dict(arrived.layers[0].attributes) == {"stride": 1}


def test_the_problem_is_the_same_at_the_other_end():
    with travelled(Binding.of(PROBLEM)).bind() as bound:
        assert bound.identity == PROBLEM.identity
        assert bound.key(SPACE.default) == PROBLEM.key(SPACE.default)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("mobilenet-v2-0.35-96", "mobilenet-v2-0.35-96 on fake-npu"),
        ("modèle/de:test", "mod_le_de_test on fake-npu"),
        ("x" * 200, "x" * 68 + " on fake-npu"),
    ],
)
def test_people_call_it_by_network_and_target_in_names_that_ray_takes(name, title):
    network = dataclasses.replace(NETWORK, name=name)
    assert Binding("digest", parts=(LayeredTarget(), network)).title == title


def test_modules_are_found_where_the_sender_found_them(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path / "sender")
    binding = travelled(Binding.of(PROBLEM))
    path = [entry for entry in sys.path if entry != str(tmp_path / "sender")]
    monkeypatch.setattr(sys, "path", path)

    assert binding.parts
    assert sys.path[0] == str(tmp_path / "sender")


def test_a_target_that_cannot_travel_is_refused_with_the_reason():
    @dataclasses.dataclass(frozen=True)
    class Local(WrappedTarget):
        pass

    with pytest.raises(ExecutorError, match=r"'fake-npu' cannot be sent.*inline executor"):
        _ = Binding.of(Local().bind(NETWORK)).payload


@pytest.mark.parametrize(
    "other",
    [
        LayeredTarget(layer_cycles=2000.0).bind(NETWORK),
        NoisyTarget().bind(NETWORK),
        LayeredTarget().bind(fake_network(content=b"other")),
    ],
)
def test_bindings_of_different_problems_have_different_digests(other):
    assert Binding.of(other).digest != Binding.of(PROBLEM).digest


def test_a_worker_binds_a_problem_once_and_closes_it_for_another(monkeypatch):
    closed = []
    monkeypatch.setattr(type(PROBLEM), "close", lambda problem: closed.append(problem.target))
    one, other = LayeredTarget(), LayeredTarget(blocks=2)

    with BoundProblem() as bound:
        assert bound.digest == ""
        first = bound.get(Binding.of(one.bind(NETWORK)))
        assert bound.get(Binding.of(one.bind(NETWORK))) is first
        assert not closed
        bound.get(Binding.of(other.bind(NETWORK)))
        assert closed == [one]
    assert closed == [one, other]
    assert bound.digest == ""


def test_a_problem_that_was_handed_in_is_left_open(monkeypatch):
    closed = []
    monkeypatch.setattr(type(PROBLEM), "close", closed.append)

    with BoundProblem(PROBLEM) as bound:
        assert bound.get(Binding.of(PROBLEM)) is PROBLEM

    assert not closed
