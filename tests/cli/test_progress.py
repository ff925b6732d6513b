from __future__ import annotations

import io

import pytest

from npu_tune.cli.progress import (
    LINE_EVERY_S,
    ProgressLines,
    describe,
    format_duration,
    progress_listener,
)
from npu_tune.tuning import Progress


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


def test_a_line_says_how_far_how_good_how_fast_and_how_long_still():
    assert describe(progress()) == (
        "12/200, best 0.861 of baseline, front 7, 2 failed, 3.1 trials/s, 1:02 left"
    )


def test_what_is_not_known_is_left_out():
    line = describe(progress(planned=None, best_cost=None, time_left_s=None))
    assert line == "12, best - of baseline, front 7, 2 failed, 3.1 trials/s"


def test_a_study_that_stops_says_what_it_waits_for():
    assert describe(progress(stopping=True)).endswith(
        "stopping, 2 still running (Ctrl-C again drops them)"
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
    assert [line.split("/")[0] for line in stream.getvalue().splitlines()] == ["1", "3", "4"]


def test_the_first_result_is_not_waited_for():
    stream = io.StringIO()
    lines = ProgressLines(stream, clock=lambda: 0.0)
    for evaluations, best in [(0, None), (0, None), (1, 1.0), (2, 0.9)]:
        lines(progress(evaluations=evaluations, best_cost=best))
    assert [line.split("/")[0] for line in stream.getvalue().splitlines()] == ["0", "1"]


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
