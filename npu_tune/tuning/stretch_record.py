"""Writes down each run of a study, when it begins and when it ends."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shlex
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from npu_tune.errors import NpuTuneWarning, StorageError, sentence_of
from npu_tune.targets import Problem
from npu_tune.targets.measured.machine import machine_name
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.ledger import Ledger, PatientLedger
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.stretches import (
    STRETCH,
    Stretch,
    stretch_document,
    stretch_keys,
    stretch_tables,
    stretches,
)
from npu_tune.versions import installed_versions

PYTHON = "Python"
"""Stands for the command where a study was run from Python."""

_LONGEST_COMMAND = 500
_PASSWORD = re.compile(r"(://[^/@\s:]*):[^@\s]*@|(password=)[^&\s]*")


@dataclass
class Running:
    """A stretch that runs: says at its end why it ended."""

    stopped: str | None = None


@contextlib.contextmanager
def stretch(
    ledger: PatientLedger, now: Stretch, *, kept: SearchSettings | None
) -> Iterator[Running]:
    """Writes down that a stretch begins, and at the end of the block that and why it ended.

    Warns where it goes on in another way than the one before. What dies inside the block leaves a
    stretch without an end.

    Args:
        ledger: of the study.
        now: what begins.
        kept: what the study's folder said before, which counts for the trials of a study that was
            begun before stretches were written down; None where nothing is known.
    """
    running, start = Running(), time.monotonic()
    key = _begin(ledger, now, kept=kept)

    def end(stopped: str | None) -> None:
        last = len(ledger.in_memory[0]) - 1
        ended = replace(
            now,
            last_trial=last if last >= now.first_trial else None,
            ended=_utc(),
            ended_s=round(now.began_s + time.monotonic() - start, 3),
            stopped=stopped,
        )
        ledger.set_attribute(key, stretch_document(ended))

    try:
        yield running
    except StorageError:  # which takes no end either
        raise
    except BaseException as error:
        with contextlib.suppress(StorageError):
            end(_reason(error))
        raise
    end(running.stopped)


def new_stretch(
    study: StudyFile, problem: Problem, *, first_trial: int, began_s: float, command: str
) -> Stretch:
    """The stretch that begins now, as far as it is known.

    Args:
        study: what is run.
        problem: of the study.
        first_trial: the number of its first trial.
        began_s: on the study's clock.
        command: that runs it.
    """
    executor = study.executor
    installed = installed_versions()
    return Stretch(
        SearchSettings.of(study, first_trial=first_trial),
        executor={"kind": executor.kind, "workers": executor.capacity},
        versions={name: found for name, found in installed.items() if found},
        platform=platform_facts(),
        fingerprint=problem.identity.fingerprint,
        command=_without_passwords(command)[:_LONGEST_COMMAND],
        began=_utc(),
        began_s=round(began_s, 3),
    )


def platform_facts() -> dict[str, Any]:
    """What runs this process, without what the machine is called."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return {
        "system": f"{name or platform.system()}, {platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": machine_name(),
        "processors": len(os.sched_getaffinity(0)),
    }


def _begin(ledger: Ledger, now: Stretch, *, kept: SearchSettings | None) -> str:
    """Writes down that a stretch begins; returns the key of its attribute."""
    attributes = ledger.attributes()
    known = stretches(attributes)
    if not known and kept is not None and now.first_trial > 0:
        known = (Stretch(replace(kept, first_trial=0)),)
        attributes |= _write(ledger, _key(0), known[0], attributes)
    if known and (changes := list(now.differences(known[-1]))):
        warnings.warn(
            f"The study {ledger.name!r} goes on from trial {now.first_trial} in another way: "
            f"{'; '.join(changes)}.",
            NpuTuneWarning,
            stacklevel=4,
        )
    keys = stretch_keys(attributes)
    # One that ended without a trial says nothing, and leaves its place to the next.
    is_empty = bool(keys and known[-1].ended is not None and known[-1].last_trial is None)
    if is_empty and known[-1].first_trial == now.first_trial:
        key = keys[-1]
    else:
        key = _key(int(keys[-1][len(STRETCH) :].partition("-")[0]) + 1 if keys else 0)
    _write(ledger, key, now, attributes)
    return key


def _write(
    ledger: Ledger, key: str, now: Stretch, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes a stretch, and first what it refers to, as far as that is not there; returns it."""
    written = {
        name: table
        for name, table in stretch_tables(now).items()
        if table and name not in attributes
    }
    written[key] = stretch_document(now)
    for name, value in written.items():
        ledger.set_attribute(name, value)
    return written


def _key(number: int) -> str:
    """A key that no other process takes that begins a stretch at the same time."""
    return f"{STRETCH}{number:05d}-{secrets.token_hex(2)}"


def _reason(error: BaseException) -> str:
    """Why a stretch ended that an exception ended."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"error: {sentence_of(error)}"[:_LONGEST_COMMAND]


def _without_passwords(command: str) -> str:
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] else f"{m[2]}***", command)


def command_text(arguments: Sequence[str]) -> str:
    """A command line of this package, as a person would type it."""
    return shlex.join(["npu-tune", *arguments])


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
