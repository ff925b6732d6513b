"""Clocks that jump, and compilers that misbehave."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fake_targets import (
    Acting,
    CrashingTarget,
    FailingTarget,
    HangingTarget,
    LayeredTarget,
    Loud,
    SlowTarget,
    Spoiling,
    Where,
    note,
    take_much,
)
from tally import Fault, Tally
from victim import PATIENCE_S, Victim

_DAY_S = 86400.0
_CLOCK = Path(__file__).parent / "clock"
"""Holds a module that Python imports by itself when it starts."""

_LATE_S = 1.0
_MEMORY = "768 MiB"

_WHERE = Where("layer0/block", 24)

_MISBEHAVIOUR = {
    "hangs": (HangingTarget, "timeout"),
    "segfaults": (CrashingTarget, "crash"),
    "refuses": (FailingTarget, "compiler-error"),
    "answers NaN": (Spoiling, "compiler-error"),
    "takes more memory than allowed": (partial(Acting, act=take_much), "out-of-memory"),
}


def machine_faults() -> Iterator[Fault]:
    """What machines and compilers do."""
    yield Fault("clock jumps by up to a day", "journal, process", _jump, 20)
    for what, (target, failure) in _MISBEHAVIOUR.items():
        inject = partial(_misbehave, target, failure)
        yield Fault(f"a compiler {what}", "journal, process", inject, 1)
    yield Fault("a compiler prints garbage", "journal, process", _print, 1)


def _jump(folder: Path, times: int, seed: int) -> Tally:
    chance, tally = random.Random(seed), Tally()
    executor = {"executor": {"kind": "process", "workers": 1}, "sampler": {"name": "layerwise"}}
    target = SlowTarget(LayeredTarget(), 0.05)
    evaluations = 40 + 8 * times
    whole = Victim(folder / "whole", executor, LayeredTarget(), evaluations)
    whole.run()
    victim = Victim(folder / "study", executor, target, evaluations)
    clock = folder / "clock"
    clock.write_text("0")
    path = os.pathsep.join([str(_CLOCK), os.environ.get("PYTHONPATH", "")])
    faked = {"JUMPING_CLOCK": str(clock), "PYTHONPATH": path}
    with _environment(faked), victim.started() as program:
        while tally.injected < times:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(timeout=chance.uniform(0.2, 0.5))
                break
            if not victim.story():
                continue
            note(clock, str(chance.uniform(-_DAY_S, _DAY_S)))
            tally.injected += 1
        errors = program.communicate(timeout=PATIENCE_S)[1].decode()
    tally.expect(program.returncode == 0, errors)
    tally.expect(tally.injected == times, f"It ended after {tally.injected} jumps.")
    tally.compare(whole.story(), victim.story())
    victim.check_end(tally)
    result = victim.result()
    tally.expect(
        result is not None and all(0 <= trial.seconds < 60 for trial in result.trials),
        "An evaluation is said to have taken another time than it did.",
    )
    return tally


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _misbehave(target: Any, failure: str, folder: Path, times: int, seed: int) -> Tally:
    del times
    tally = Tally()
    executor = {"kind": "process", "workers": 2, "timeout_s": _LATE_S, "memory_limit": _MEMORY}
    sections = {"executor": executor, "study": {"seed": seed}}
    victim = Victim(folder / "study", sections, target(LayeredTarget(), where=_WHERE), 60)
    result = victim.run()
    hit = [
        trial
        for trial in result.trials
        if trial.duplicate_of is None and trial.configuration.get(_WHERE.knob) == _WHERE.value
    ]
    tally.injected = len(hit)
    tally.finished = len(result.trials)
    tally.expect(len(hit) > 0, "No configuration made the compiler misbehave.")
    failures = Counter(trial.failure for trial in result.trials if trial.duplicate_of is None)
    tally.expect(
        failures == Counter({failure: len(hit), None: 60 - len(hit)}),
        f"The failures are {dict(failures)}.",
    )
    victim.check_end(tally)
    return tally


def _print(folder: Path, times: int, seed: int) -> Tally:
    del times
    tally = Tally()
    sections = {"executor": {"kind": "process", "workers": 1}, "study": {"seed": seed}}
    whole = Victim(folder / "whole", sections, LayeredTarget(), 60)
    whole.run()
    victim = Victim(folder / "study", sections, Loud(LayeredTarget()), 60)
    with victim.started() as program:
        output, errors = program.communicate(timeout=PATIENCE_S)
    tally.injected = tally.finished = 60
    tally.expect(b"NOISE" not in output + errors, "What a compiler prints got through.")
    tally.compare(whole.story(), victim.story())
    victim.check_end(tally)
    return tally
