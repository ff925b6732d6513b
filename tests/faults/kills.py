"""SIGKILL for the driver of a study, at random moments."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from fake_studies import story
from orphans import adopted_orphans
from storages import STORAGES
from tally import Fault, Tally
from victim import PATIENCE_S, Victim, nothing_left, scratch, seconds_of

EXECUTORS = ("inline", "process", "ray")
KILLS = 50

_MOST_IN_ONE_STUDY = 12
"""Kills of the same study; a fresh one follows, so that early moments come up as often as late ones."""

Storage = Callable[[Path], AbstractContextManager[dict[str, Any]]]


def kill_faults() -> Iterator[Fault]:
    """The driver is killed, for each kind of storage and executor."""
    for storage, opened in STORAGES.items():
        for executor in EXECUTORS:
            inject = partial(_kill, opened, executor)
            yield Fault("driver killed (SIGKILL)", f"{storage}, {executor}", inject, KILLS)


def _kill(opened: Storage, executor: str, folder: Path, times: int, seed: int) -> Tally:
    moments, tally = random.Random(seed), Tally()
    with opened(folder) as storage:
        for number in count():
            if tally.injected >= times:
                return tally
            # With one worker the end is known; with several, who is faster differs.
            workers = 1 if executor == "inline" or number % 2 == 0 else 2
            sections = {
                "sampler": {"name": "layerwise"},
                "executor": {"kind": executor, "workers": workers},
            }
            with scratch() as temporary:
                make = partial(_victim, sections=sections, storage=storage)
                whole = make(folder / f"whole{number}", name=f"whole{number}")
                seconds = seconds_of(whole)
                victim = make(folder / f"study{number}", name=f"study{number}")
                most = min(times - tally.injected, _MOST_IN_ONE_STUDY) + tally.injected
                _kill_until_done(
                    victim, tally, temporary, partial(moments.uniform, 0.0, seconds), most
                )
                victim.check_end(tally)
                _compare(victim, whole, tally, exactly=workers == 1)
    return tally


def _victim(
    folder: Path, *, name: str, sections: dict[str, Any], storage: dict[str, Any]
) -> Victim:
    return Victim(folder, {**sections, "study": {**storage, "name": name}})


def _kill_until_done(
    victim: Victim, tally: Tally, temporary: Path, moment: Callable[[], float], most: int
) -> None:
    """Kills and starts a study again until it ends by itself, or was killed often enough."""
    with adopted_orphans() as left:
        while True:
            is_enough = tally.injected >= most
            if not victim.harm(tally, until=PATIENCE_S if is_enough else moment()):
                break
        nothing_left(tally, left, temporary)


def _compare(victim: Victim, whole: Victim, tally: Tally, *, exactly: bool) -> None:
    result, expected = victim.result(), whole.result()
    if result is None or expected is None:
        tally.wrong.append("A study is not there.")
        return
    files = {path.name for path in victim.study.iterdir()}
    extra = files - {path.name for path in whole.study.iterdir()}
    tally.left += sorted(extra)
    if exactly:
        tally.expect(story(result) == story(expected), "It ended otherwise than without kills.")
        tally.expect(_plain(result.best) == _plain(expected.best), "The best is another.")


def _plain(trial: Any) -> Any:
    """A trial without what differs from run to run."""
    return None if trial is None else replace(trial, seconds=0.0)
