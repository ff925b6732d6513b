"""Several drivers of one fake study as programs of their own, some of which are killed.

As a program it takes a file with a pickled (study file's contents, target, seconds of a lease), and
runs that.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parent


@dataclass(frozen=True)
class Group:
    """What the drivers of a study are given.

    Args:
        folder: in which each finds or makes the study's.
        document: of the study file, without its folder.
        target: that is evaluated.
        lease_s: how long a driver that was killed keeps what it had reserved.
        own_folders: whether each has a folder of its own, as on machines of their own.
    """

    folder: Path
    document: dict[str, Any]
    target: Any
    lease_s: float = 3.0
    own_folders: bool = False

    def study_folder(self, driver: int) -> Path:
        return self.folder / (f"study-{driver}" if self.own_folders else "study")

    def start(self, driver: int) -> subprocess.Popen[bytes]:
        study = {**self.document["study"], "folder": str(self.study_folder(driver))}
        job = self.folder / f"driver-{driver}.job"
        job.write_bytes(
            pickle.dumps(({**self.document, "study": study}, self.target, self.lease_s))
        )
        path = [str(SUPPORT), os.environ.get("PYTHONPATH")]
        return subprocess.Popen(
            [sys.executable, __file__, str(job)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )


@dataclass(frozen=True)
class Run:
    """How a group came to its end.

    Args:
        errors: what drivers that failed have said.
        killed: how many were killed.
        log: per evaluation the process and the configuration.
        study: of the first driver.
    """

    errors: list[str]
    killed: int
    log: list[tuple[str, str]]
    study: Path


def run_group(group: Group, *, drivers: int, kills: int = 0, seed: int = 0) -> Run:
    """Runs a study to its end; drivers that are killed are started again at once."""
    log = Path(group.target.log)
    log.unlink(missing_ok=True)
    chance = random.Random(seed)
    errors, killed = [], 0
    with contextlib.ExitStack() as stack:
        running = {number: group.start(number) for number in range(drivers)}
        stack.callback(lambda: [program.kill() for program in running.values()])
        due = _due(log, group.document["study"]["evaluations"], kills)
        while any(program.poll() is None for program in running.values()):
            time.sleep(0.02)
            if next(due):
                alive = [n for n, program in running.items() if program.poll() is None]
                number = chance.choice(alive)
                running[number].kill()
                running[number].communicate()
                killed += 1
                running[number] = group.start(number)
        for program in running.values():
            said = program.communicate()[1].decode()
            if program.returncode:
                errors.append(said)
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    return Run(errors, killed, [(pid, what) for pid, what in lines], group.study_folder(0))


def _due(log: Path, evaluations: int, kills: int) -> Iterator[bool]:
    """Says when to kill: after equal shares of the evaluations."""
    for number in range(kills):
        while _lines(log) < (number + 1) * evaluations * 0.9 / (kills + 1):
            yield False
        yield True
    while True:
        yield False


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def steady_rate(trials: list[Any]) -> tuple[float, int]:
    """Evaluations per second while all drivers were at work, and how many drivers there were."""
    ended: dict[str, list[datetime]] = {}
    for trial in trials:
        if "duplicate_of" not in trial.user_attrs:
            name = trial.user_attrs.get("driver", "alone")
            ended.setdefault(name, []).append(trial.datetime_complete)
    busy = {name: times for name, times in ended.items() if name != "alone"} or ended
    first = max(min(times) for times in busy.values())
    last = min(max(times) for times in busy.values())
    between = sum(first <= moment <= last for times in ended.values() for moment in times)
    return between / max((last - first).total_seconds(), 1e-9), len(busy)


def repeated(log: list[tuple[str, str]]) -> int:
    """How many evaluations were of a configuration that was evaluated before."""
    return sum(count - 1 for count in Counter(what for _, what in log).values())


def main() -> None:
    from fake_targets import fake_network

    from npu_tune.tuning import parse_study, run_study
    from npu_tune.tuning.sharing import lives

    document, target, lives.LEASE_S = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301
    run_study(parse_study(document, base=Path.cwd()), network=fake_network(), target=target)


if __name__ == "__main__":
    main()
