from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from fake_studies import run_fake, start_program
from fake_targets import LayeredTarget

from npu_tune.errors import UsageError
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.watching import State, StudyWatch


def look(folder):
    with StudyWatch(folder) as watching:
        return watching.look()


@pytest.fixture
def seen(tmp_path):
    """What a watcher sees of a study while it runs, evaluation by evaluation."""

    def run(evaluations, **how):
        found = []

        def listen(progress):
            if not progress.phase.is_before:
                found.append((progress, look(tmp_path / "s")))

        run_fake(tmp_path / "s", evaluations, listener=listen, **how)
        return found

    return run


def test_a_study_that_runs_is_seen_as_its_own_process_reports_it(seen):
    found = seen(12)
    assert {status.state for _, status in found} == {State.RUNNING}
    for own, status in found:
        other = status.progress
        assert (other.evaluations, other.planned) == (own.evaluations, 12)
        assert (other.finished, other.failed, other.duplicates) == (
            own.finished,
            own.failed,
            own.duplicates,
        )
        assert (other.best_cost, other.front_size) == (own.best_cost, own.front_size)


def test_what_a_study_is_at_is_seen_from_its_trials(seen):
    phases = list(dict.fromkeys(status.progress.phase for _, status in seen(12)))
    assert phases == [Phase.BASELINE, Phase.SEARCH, Phase.ENDING]


def test_the_time_left_of_a_wall_time_is_known_from_the_beginning(seen):
    statuses = [status for _, status in seen(4, study={"wall_time": "10h"})]
    first = next(status for status in statuses if status.progress.evaluations == 1)
    assert 35_000 < first.progress.time_left_s <= 36_000


def test_nothing_is_made_up_of_the_time_left_at_the_beginning(seen):
    for own, status in seen(12):
        if own.evaluations < 4 or own.evaluations >= 12:
            assert status.progress.time_left_s is None
        else:
            assert status.progress.time_left_s is not None


def test_a_study_that_has_ended_says_so_whatever_storage_it_has(tmp_path):
    for kind in ("journal", "sqlite:///study.db"):
        folder = tmp_path / kind.partition(":")[0]
        storage = {} if kind == "journal" else {"storage": kind}
        run_fake(folder, 10, study=storage)
        status = look(folder)
        assert status.state is State.ENDED
        assert status.result.stopped == "evaluations"
        assert status.progress.evaluations == 10
        assert status.progress.time_left_s is None


def test_a_study_that_was_killed_is_said_to_be(tmp_path):
    program = start_program(tmp_path / "s", 100_000, target=LayeredTarget())
    try:
        while not Path(tmp_path / "s" / "study.toml").is_file():
            assert program.poll() is None, program.stderr.read()
        assert look(tmp_path / "s").state is State.RUNNING
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()
    assert look(tmp_path / "s").state is State.KILLED


@pytest.mark.parametrize("name", ["", "x" * 5000])
def test_where_there_is_no_study_there_is_nothing_to_watch(name, tmp_path):
    with pytest.raises(UsageError, match="There is no study in"):
        StudyWatch(tmp_path / name)
