from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios

import pytest

from npu_tune.cli.progress import (
    LINE_EVERY_S,
    ProgressBar,
    ProgressLines,
    describe,
    format_duration,
    progress_listener,
)
from npu_tune.tuning import Progress
from npu_tune.tuning.phase import Phase


def progress(**changes):
    values = {
        "evaluations": 12,
        "planned": 200,
        "finished": 10,
        "failed": 2,
        "duplicates": 3,
        "running": 2,
        "best_cost": 0.8614,
        "front_size": 7,
        "trials_per_second": 3.14,
        "time_left_s": 62.0,
    }
    return Progress(**(values | changes))


class Terminal(io.StringIO):
    def isatty(self):
        return True


LONG = progress(
    evaluations=123_456,
    planned=150_000,
    time_left_s=36_000.0,
    front_size=1234,
    trials_per_second=3210.5,
    phase=Phase.STARTS,
)


def test_a_line_says_what_it_is_at_how_far_how_good_how_fast_and_how_long_still():
    assert describe(progress()) == (
        "search 12/200, best 0.861, front 7, 2 failed, 3.1 trials/s, 1:02 left"
    )


def test_what_is_not_known_is_left_out():
    unknown = progress(planned=None, best_cost=None, time_left_s=None, front_size=0, failed=0)
    assert describe(unknown) == "search 12, 3.1 trials/s"


def test_before_anything_is_evaluated_a_line_says_what_is_begun_and_no_number():
    assert describe(progress(phase=Phase.FRONT_END)) == "front end ..."


@pytest.mark.parametrize("phase", Phase)
def test_a_line_fits_sixty_columns_and_says_what_matters_whatever_the_numbers(phase):
    changed = {name: getattr(LONG, name) for name in LONG.__dataclass_fields__}
    line = describe(Progress(**{**changed, "phase": phase}), width=60)
    assert len(line) <= 60
    assert line.startswith(phase)
    assert phase.is_before or "123456/150000, best 0.861" in line
    assert phase.is_before or "10:00:00 left" in line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "planned starts 123456/150000, best 0.861, front 1234, 2 failed, 10:00:00 left"),
        (65, "planned starts 123456/150000, best 0.861, 2 failed, 10:00:00 left"),
        (55, "planned starts 123456/150000, best 0.861, 10:00:00 left"),
        (45, "planned starts 123456/150000, 10:00:00 left"),
        (30, "planned starts 123456/150000"),
        (20, "planned starts 123.."),
        (1, "."),
    ],
)
def test_where_there_is_less_room_what_matters_least_goes_first(width, line):
    assert describe(LONG, width=width) == line[:width]


def test_a_study_that_stops_says_what_it_waits_for():
    assert describe(progress(stopping=True), width=60) == (
        "search 12/200, stopping: 2 running, Ctrl-C drops them"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3723, "1:02:03")]
)
def test_durations_are_written_as_clocks_show_them(seconds, text):
    assert format_duration(seconds) == text


def test_lines_come_from_time_to_time_and_the_last_state_always():
    now, stream = [0.0], io.StringIO()
    lines = ProgressLines(stream, clock=lambda: now[0])
    for evaluations, now[0] in [(1, 0.0), (2, 1.0), (3, LINE_EVERY_S), (4, LINE_EVERY_S + 1)]:
        lines(progress(evaluations=evaluations))
    lines.finish()
    lines.finish()
    assert numbers(stream) == ["1", "3", "4"]


def numbers(stream):
    return [line.split("/")[0].split()[-1] for line in stream.getvalue().splitlines()]


def test_the_first_result_is_not_waited_for():
    stream = io.StringIO()
    lines = ProgressLines(stream, clock=lambda: 0.0)
    for evaluations, best in [(0, None), (0, None), (1, 1.0), (2, 0.9)]:
        lines(progress(evaluations=evaluations, best_cost=best))
    assert numbers(stream) == ["0", "1"]


def test_what_makes_no_trials_gets_a_line_as_it_begins_and_only_one():
    stream = io.StringIO()
    lines = ProgressLines(stream, clock=lambda: 0.0)
    for phase in (
        Phase.READING,
        Phase.FRONT_END,
        Phase.FRONT_END,
        Phase.SEARCH,
        Phase.POLISHING,
        Phase.BOUND,
        Phase.BOUND,
    ):
        lines(progress(phase=phase, best_cost=None))
    lines.finish()
    said = [line.split(" 12/")[0] for line in stream.getvalue().splitlines()]
    assert said == ["reading the model ...", "front end ...", "bound", "bound"]


def test_quiet_has_no_listener():
    with progress_listener(quiet=True, opening="Starts") as listener:
        assert listener is None


def test_a_terminal_gets_a_bar_that_ends_with_the_last_state():
    stream = Terminal()
    with progress_listener(quiet=False, opening="Starts", stream=stream) as listener:
        listener(progress(evaluations=100))
        listener(progress(evaluations=200, time_left_s=0.0))
    assert stream.getvalue().startswith("Starts\n")
    last = stream.getvalue().rstrip("\n").split("\r")[-1]
    assert "200/200, best" in last
    assert last.startswith("|####")


def test_a_terminal_is_not_drawn_on_more_often_than_anybody_reads():
    stream = Terminal()
    bar = ProgressBar(stream, clock=lambda: 0.0)
    for evaluations in range(1, 100):
        bar(progress(evaluations=evaluations))
    bar.finish()
    assert " 1/200" in stream.getvalue()
    assert " 50/200" not in stream.getvalue()
    assert " 99/200" in stream.getvalue()


def test_what_was_read_in_vain_leaves_nothing_on_a_terminal():
    stream = Terminal()
    with progress_listener(quiet=False, opening="Starts", stream=stream) as listener:
        listener(progress(phase=Phase.READING))
    assert "reading the model" in stream.getvalue()
    assert not stream.getvalue().split("\r")[-1].strip()
    assert "Starts" not in stream.getvalue()


def test_a_file_gets_plain_lines():
    stream = io.StringIO()
    with progress_listener(quiet=False, opening="Starts", stream=stream) as listener:
        listener(progress())
    assert "\r" not in stream.getvalue()
    opening, line = stream.getvalue().splitlines()
    assert opening == "Starts"
    assert line == describe(progress())


def test_a_study_that_never_begins_shows_nothing():
    stream = io.StringIO()
    with progress_listener(quiet=False, opening="Starts", stream=stream):
        pass
    assert not stream.getvalue()


def on_terminal(command, columns, **how):
    """What a command writes on a terminal of so many columns: everything, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, stdin=subprocess.DEVNULL, **how
    ) as running:
        os.close(theirs)
        written = b""
        # At the end of a terminal that nobody holds open any more, Linux reports EIO.
        try:
            while piece := os.read(ours, 4096):
                written += piece
        except OSError:
            pass
        os.close(ours)
    return written.decode(), running.returncode


@pytest.mark.parametrize("columns", [60, 24])
def test_on_a_real_terminal_no_state_of_the_line_is_wider_than_it(
    script, environment, tmp_path, columns
):
    written, code = on_terminal(
        [*script, "tune", "ds-cnn", "--target", "fake-npu", "--evaluations", "30", "--study", "s"],
        columns,
        env=environment,
        cwd=tmp_path,
    )
    assert code == 0, written
    lines = [line for line in written.splitlines() if not line.lstrip("\r ").startswith("Starts")]
    states = [state.rstrip() for line in lines for state in line.split("\r")]
    assert max(map(len, states)) < columns
    assert any("30/30" in state for state in states)
    for phase in ("reading the model", "front end", "search" if columns == 60 else "s"):
        assert any(phase in state for state in states), phase
