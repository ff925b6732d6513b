"""A study that runs as a program of its own, to be harmed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_studies import run_fake, start_program, story
from fake_targets import Counting, LayeredTarget, SlowTarget, fake_network, wait_until
from tally import Tally

from npu_tune.errors import NpuTuneError
from npu_tune.tuning import StudyResult, read_study

EVALUATIONS = 60
EVALUATION_S = 0.004

PATIENCE_S = 300.0
"""For a program to end, on a machine that is busy with others."""


@dataclass
class Victim:
    """A study in a folder of its own.

    Args:
        folder: holds everything; nothing else is in it.
        sections: of the study file.
        target: what is tuned; every evaluation of it is noted.
        evaluations: the budget.
        notes: the file in which every evaluation is noted; in the folder if None.
    """

    folder: Path
    sections: dict[str, Any] = field(default_factory=dict)
    target: Any = field(default_factory=lambda: SlowTarget(LayeredTarget(), EVALUATION_S))
    evaluations: int = EVALUATIONS
    notes: Path | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.notes or self.folder / "evaluations.log"
        self.counting = Counting(self.target, self.log)

    @property
    def study(self) -> Path:
        """The study's own folder."""
        return self.folder / "study"

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Runs the study, or goes on with it, in a process of its own."""
        # Beside the notes there is room to write, whatever happens to the study.
        job = self.log.with_suffix(".job")
        program = start_program(
            self.study, self.evaluations, target=self.counting, job=job, **self.sections
        )
        with program:
            try:
                yield program
            finally:
                program.kill()

    def run(self) -> StudyResult:
        """Runs the study, or goes on with it, in this process."""
        return run_fake(self.study, self.evaluations, target=self.counting, **self.sections)

    def result(self) -> StudyResult | None:
        """What is kept of the study; None where nothing is."""
        try:
            return read_study(self.study)
        except NpuTuneError:
            return None

    def story(self) -> list[tuple[Any, ...]]:
        """The finished trials."""
        result = self.result()
        return [] if result is None else story(result)

    def evaluated(self) -> list[str]:
        """What was evaluated, in order; the default configuration is ``[]``."""
        if not self.log.exists():
            return []
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()]

    def known(self) -> set[str]:
        """The configurations of the finished trials, as :meth:`evaluated` writes them.

        The default one is left out: a study evaluates it again at its end.
        """
        with self.counting.bind(fake_network()) as problem:
            default = problem.space.default
        result = self.result()
        trials = () if result is None else result.trials
        changed = (trial.configuration.difference(default) for trial in trials)
        return {str(sorted(changes.items())) for changes in changed if changes}

    def harm(self, tally: Tally, *, until: float) -> bool:
        """Kills the program after so many seconds; False where it had ended by itself."""
        before, known, noted = self.story(), self.known(), len(self.evaluated())
        with self.started() as program:
            try:
                program.wait(timeout=until)
            except subprocess.TimeoutExpired:
                program.kill()
            errors = program.communicate()[1].decode()
        tally.again += sum(line in known for line in self.evaluated()[noted:])
        tally.compare(before, self.story())
        if program.returncode == -9:
            tally.injected += 1
            return True
        tally.expect(program.returncode == 0, errors)
        return False

    def check_end(self, tally: Tally) -> None:
        """Looks whether the study that has ended is as it should be."""
        result = self.result()
        if result is None:
            tally.wrong.append("There is no study.")
            return
        numbers = [trial.number for trial in result.trials]
        tally.expect(numbers == list(range(len(numbers))), "Numbers are not consecutive.")
        evaluated = [t for t in result.trials if t.duplicate_of is None]
        tally.expect(
            len(evaluated) == self.evaluations,
            f"{len(evaluated)} evaluations instead of {self.evaluations}.",
        )
        keys = {trial.configuration for trial in evaluated}
        tally.expect(len(keys) == len(evaluated), "A configuration was evaluated twice.")
        tally.expect(
            result.stopped == "evaluations", f"The study says that it ended by {result.stopped}."
        )


def seconds_of(victim: Victim) -> float:
    """How long a study takes that nobody harms, from its start to its end."""
    began = time.monotonic()
    with victim.started() as program:
        program.wait(timeout=PATIENCE_S)
    return time.monotonic() - began


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder of all programs started meanwhile, short enough for Ray's sockets."""
    before = os.environ.get("TMPDIR")
    folder = Path(tempfile.mkdtemp(prefix="f", dir="/tmp"))
    os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def nothing_left(tally: Tally, left: Callable[[], list[str]], temporary: Path) -> None:
    """Notes processes and temporary files that do not go away.

    Args:
        tally: gets them.
        left: as :func:`orphans.adopted_orphans` yields it.
        temporary: as :func:`scratch` yields it.
    """
    try:
        wait_until(lambda: not left() and not any(temporary.iterdir()), patience_s=20.0)
    except TimeoutError:
        tally.left += [*left(), *(path.name for path in temporary.iterdir())]
