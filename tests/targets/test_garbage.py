from __future__ import annotations

import gc
import weakref

import pytest

from npu_tune.targets.garbage import Frozen, no_collection


@pytest.fixture(autouse=True)
def nothing_else_is_frozen(monkeypatch):
    monkeypatch.setattr(Frozen, "_held", 0)
    monkeypatch.setattr(Frozen, "_since", 0)
    gc.unfreeze()


class Thing:
    """Something that refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_frozen_is_left_to_the_collector_once_it_is_released():
    thing = Thing()
    frozen, gone = Frozen(), weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is not None
    frozen.release()
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert gone() is None


def test_what_others_froze_stays_frozen_until_the_last_releases():
    first, second = Frozen(), Frozen()
    first.release()
    first.release()
    assert gc.get_freeze_count() > 0
    second.release()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("is_held", [False, True])
def test_garbage_does_not_pile_up(is_held):
    held = Frozen() if is_held else None
    things = []
    for _ in range(20):
        thing, frozen = Thing(), Frozen()
        things.append(weakref.ref(thing))
        del thing
        frozen.release()
    assert (gc.get_freeze_count() > 0) == is_held
    assert sum(each() is not None for each in things) < 10
    if held:
        held.release()


def test_the_collector_runs_again_whatever_happens():
    def fail():
        with no_collection():
            assert not gc.isenabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()
