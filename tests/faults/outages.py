"""Storages and folders that fail under a running study."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fake_targets import LayeredTarget, SlowTarget, wait_until
from postgres_server import postgres_server
from tally import Fault, Tally
from victim import PATIENCE_S, Victim, scratch

_EVALUATIONS = 50
_EVALUATION_S = 0.05
_RUN_S = _EVALUATIONS * _EVALUATION_S

_SHORT_RETRY_S = 2
_BRIEFLY_S = 1.0


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """A small file system of its own, in memory; needs the rights of root."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def outage_faults() -> Iterator[Fault]:
    """Everything that a storage or a disk may do."""
    lasting = {
        ("database stopped for 30 s", "PostgreSQL"): (_stop_server, 30.0, 3),
        ("database locked for 60 s", "SQLite"): (_lock, 60.0, 3),
        ("disk full for 5 s", "journal"): (_fill, 5.0, 5),
    }
    for (what, where), (inject, seconds, times) in lasting.items():
        briefly = partial(inject, _BRIEFLY_S)
        yield Fault(what, where, partial(inject, seconds), times, briefly, inject is _fill)
    yield Fault("database stopped for good", "PostgreSQL", _stop_server_for_good, 3)
    yield Fault("disk full for good", "journal", partial(_fill, None), 5, needs_mount=True)
    yield Fault("folder removed", "journal", _remove, 10)
    yield Fault(
        "folder read-only between two runs", "journal", _make_read_only, 5, needs_mount=True
    )


def _victim(folder: Path, *, notes: Path | None = None, **study: Any) -> Victim:
    sections = _sections() | {"study": study}
    target = SlowTarget(LayeredTarget(), _EVALUATION_S)
    return Victim(folder, sections, target, _EVALUATIONS, notes)


def _sections() -> dict[str, Any]:
    return {
        "sampler": {"name": "layerwise"},
        "executor": {"kind": "process", "workers": 1},
    }


def _whole(folder: Path) -> Victim:
    """The same study as it ends when nothing happens, without waiting for its evaluations."""
    whole = Victim(folder / "whole", _sections(), LayeredTarget(), _EVALUATIONS)
    whole.run()
    return whole


def _begun(victim: Victim, program: subprocess.Popen[bytes], seconds: float) -> None:
    """Returns so many seconds after the first trials are there."""
    wait_until(lambda: len(victim.story()) > 1 or program.poll() is not None)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(timeout=seconds)


def _moments(times: int, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(0.0, 0.6 * _RUN_S) for _ in range(times)]


def _finish(program: subprocess.Popen[bytes], tally: Tally) -> str:
    """Lets a program end, and gives what it has said."""
    tally.injected += 1
    return program.communicate(timeout=PATIENCE_S)[1].decode()


def _expect_whole(victim: Victim, whole: Victim, before: list[Any], tally: Tally) -> None:
    tally.compare(before, victim.story())
    victim.check_end(tally)
    tally.expect(victim.story() == whole.story(), "It ended otherwise than without the fault.")


def _stop_server(out_s: float, folder: Path, times: int, seed: int) -> Tally:
    tally = Tally()
    with postgres_server() as server:
        storage = f"{server}/postgres"
        whole = _whole(folder)
        for number, moment in enumerate(_moments(times, seed)):
            victim = _victim(folder / f"s{number}", storage=storage, name=f"s{number}")
            with victim.started() as program:
                _begun(victim, program, moment)
                before = victim.story()
                server.stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(timeout=out_s)
                server.start()
                errors = _finish(program, tally)
            tally.expect(program.returncode == 0, errors)
            _expect_whole(victim, whole, before, tally)
    return tally


def _stop_server_for_good(folder: Path, times: int, seed: int) -> Tally:
    tally = Tally()
    whole = _whole(folder)
    for number, moment in enumerate(_moments(times, seed)):
        with postgres_server() as server:
            study = {"storage": f"{server}/postgres", "storage_retry": _SHORT_RETRY_S}
            victim = _victim(folder / f"s{number}", **study)
            with victim.started() as program:
                _begun(victim, program, moment)
                before = victim.story()
                server.stop()
                errors = _finish(program, tally)
            server.start()
            _expect_rescued(victim, whole, before, errors, tally)
    return tally


def _expect_rescued(
    victim: Victim,
    whole: Victim,
    before: list[Any],
    errors: str,
    tally: Tally,
    *,
    within: Path | None = None,
) -> None:
    """A study that could not go on says so, and goes on from where it was saved."""
    tally.expect("StorageError" in errors or "OutageError" in errors, f"It said: {errors}")
    saved = sorted((within or victim.folder).glob("study.rescued*"))
    tally.expect(len(saved) == 1, f"It was saved in {saved}.")
    if saved:
        rescued = _victim(victim.folder / "rescued", notes=victim.log)
        shutil.move(saved[0], rescued.study)
        tally.compare(before, rescued.story())
        known, noted = rescued.known(), len(rescued.evaluated())
        rescued.run()
        tally.again += sum(line in known for line in rescued.evaluated()[noted:])
        rescued.check_end(tally)
        tally.expect(rescued.story() == whole.story(), "It went on otherwise.")


def _lock(out_s: float, folder: Path, times: int, seed: int) -> Tally:
    tally = Tally()
    storage = f"sqlite:///{folder}/studies.db"
    study = {"storage": storage, "storage_retry": out_s + 60}
    whole = _whole(folder)
    for number, moment in enumerate(_moments(times, seed)):
        victim = _victim(folder / f"s{number}", **study, name=f"s{number}")
        with victim.started() as program:
            _begun(victim, program, moment)
            before = victim.story()
            with closing(sqlite3.connect(folder / "studies.db", isolation_level=None)) as other:
                other.execute("PRAGMA busy_timeout = 20000")
                other.execute("BEGIN IMMEDIATE")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(timeout=out_s)
                other.execute("ROLLBACK")
            errors = _finish(program, tally)
        tally.expect(program.returncode == 0, errors)
        _expect_whole(victim, whole, before, tally)
    return tally


def _fill(out_s: float | None, folder: Path, times: int, seed: int) -> Tally:
    """Fills the disk for so many seconds, or for good."""
    tally = Tally()
    whole = _whole(folder)
    for number, moment in enumerate(_moments(times, seed)):
        place = folder / f"s{number}"
        retry = {} if out_s else {"storage_retry": _SHORT_RETRY_S}
        with scratch() as temporary, _mounted(place):
            # What is evaluated is noted on another disk, which has room.
            victim = _victim(place, notes=folder / f"notes{number}", **retry)
            with victim.started() as program:
                _begun(victim, program, moment)
                before = victim.story()
                filler = place / "filler"
                _fill_up(filler)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(timeout=out_s)
                if out_s:
                    filler.unlink()
                errors = _finish(program, tally)
            if out_s:
                tally.expect(program.returncode == 0, errors)
                _expect_whole(victim, whole, before, tally)
            else:
                filler.unlink()
                _expect_rescued(victim, whole, before, errors, tally, within=temporary)
    return tally


def _fill_up(path: Path) -> None:
    """Takes all room that a disk has, to the last byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    block = 65536
    try:
        while block:
            try:
                os.write(descriptor, b"\0" * block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block //= 2
    finally:
        os.close(descriptor)


def _remove(folder: Path, times: int, seed: int) -> Tally:
    tally = Tally()
    whole = _whole(folder)
    for number, moment in enumerate(_moments(times, seed)):
        victim = _victim(folder / f"s{number}")
        with victim.started() as program:
            _begun(victim, program, moment)
            before = victim.story()
            shutil.rmtree(victim.study)
            errors = _finish(program, tally)
        _expect_rescued(victim, whole, before, errors, tally)
    return tally


def _remount(how: str, place: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def _make_read_only(folder: Path, times: int, seed: int) -> Tally:
    tally = Tally()
    whole = _whole(folder)
    for number, moment in enumerate(_moments(times, seed)):
        place = folder / f"s{number}"
        with _mounted(place):
            victim = _victim(place, notes=folder / f"notes{number}")
            victim.harm(Tally(), until=2.0 + moment)
            before = victim.story()
            _remount("ro", place)
            with victim.started() as program:
                errors = _finish(program, tally)
            tally.expect("Read-only file system" in errors, f"It said: {errors}")
            tally.compare(before, victim.story())
            _remount("rw", place)
            known, noted = victim.known(), len(victim.evaluated())
            victim.run()
            tally.again += sum(line in known for line in victim.evaluated()[noted:])
            victim.check_end(tally)
            tally.expect(victim.story() == whole.story(), "It went on otherwise.")
    return tally
