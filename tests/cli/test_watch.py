from __future__ import annotations

import os
import re
import signal

import pytest
from fake_studies import run_fake, start_program
from fake_targets import LayeredTarget

from npu_tune.cli import watch as watch_module


@pytest.fixture
def ended_study(tmp_path):
    run_fake(tmp_path / "s", 12)
    return tmp_path / "s"


@pytest.fixture
def killed_study(tmp_path):
    program = start_program(tmp_path / "s", 100_000, target=LayeredTarget())
    while not (tmp_path / "s" / "study.toml").is_file():
        assert program.poll() is None, program.stderr.read()
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    return tmp_path / "s"


def test_one_line_says_how_a_study_stands(npu_tune, ended_study):
    ended = npu_tune("watch", ended_study, "--once")
    assert ended.code == 0
    assert re.fullmatch(r"ended 12/12, best 0\.\d{3}, front \d+, [\d.,]+ trials/s\n", ended.out)
    assert not ended.err


def test_watching_ends_with_the_study_and_says_what_was_found(npu_tune, ended_study):
    ended = npu_tune("watch", ended_study)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("ended 12/12")
    assert re.match(r"Best so far: trial \d+, cost 0\.\d{4}: cycles ", lines[1])
    assert lines[2] == "Why it ended: evaluations."
    assert "npu-tune show" in lines[3]


@pytest.mark.parametrize("options", [(), ("--once",)])
def test_there_is_one_document_in_the_schema(npu_tune, ended_study, options):
    document = npu_tune("watch", ended_study, *options, "--json").document
    assert (document["state"], document["stopped"]) == ("ended", "evaluations")
    assert document["phase"] is None
    assert document["trials"]["finished"] + document["trials"]["failed"] == 12
    assert document["best"]["cost"] < 1


def test_a_killed_study_is_said_to_be_and_has_an_exit_code_of_its_own(npu_tune, killed_study):
    ended = npu_tune("watch", killed_study)
    assert ended.code == 8
    assert ended.out.startswith("killed ")
    assert "Nobody works on the study any more: it was killed, or failed." in ended.err
    document = npu_tune("watch", killed_study, "--json").document
    assert document["state"] == "killed"
    assert document["error"]["exit_code"] == 8


def test_a_study_that_runs_is_seen_at_what_it_is_at(npu_tune, tmp_path):
    looks = []

    def listen(progress):
        if progress.evaluations in {3, 6}:
            looks.append(npu_tune("watch", tmp_path / "s", "--once").out)

    run_fake(tmp_path / "s", 9, listener=listen)
    assert any(look.startswith("search 6/9") for look in looks)


def test_ctrl_c_ends_the_watching_and_nothing_else(npu_tune, tmp_path, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_module.time, "sleep", interrupt)
    watched = []

    def listen(progress):
        if progress.evaluations == 6 and not watched:
            watched.append(npu_tune("watch", tmp_path / "s"))

    result = run_fake(tmp_path / "s", 9, listener=listen)
    (ended,) = watched
    assert ended.code == 130
    assert "Best so far: trial" in ended.err
    assert "6/9, best" in ended.err
    assert "No longer watched. The study itself goes on as before." in ended.err
    assert result.stopped == "evaluations"


def test_between_two_looks_it_rests_as_long_as_is_asked_for_or_longer(
    npu_tune, tmp_path, monkeypatch
):
    rests = []

    def rest(seconds):
        rests.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_module.time, "sleep", rest)

    def listen(progress):
        if progress.evaluations == 6 and not rests:
            npu_tune("watch", tmp_path / "s", "--interval", 60)

    run_fake(tmp_path / "s", 9, listener=listen)
    assert rests[0] >= 60


def test_there_must_be_a_study(npu_tune):
    ended = npu_tune("watch", "nowhere")
    assert ended.code == 2
    assert "There is no study in nowhere." in ended.err
