from __future__ import annotations

from dataclasses import replace

from study_results import study_result

from npu_tune.report.stretches import runs_line, stretch_lines, stretches_document
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.stretches import Stretch

RUN = Stretch(
    SearchSettings(0, "tpe", 3, {"startup": 5}),
    last_trial=4,
    executor={"kind": "process", "workers": 1},
    versions={"npu-tune": "1.0", "Python": "3.12"},
    platform={"system": "Linux", "machine": "x86_64", "processor": "some", "processors": 2},
    began="2026-01-01T00:00:00+00:00",
    ended="2026-01-01T00:00:09+00:00",
    ended_s=9.25,
    stopped="evaluations",
)
LATER = replace(
    RUN,
    search=SearchSettings(5, "tpe", 3, {"startup": 5}),
    last_trial=9,
    executor={"kind": "process", "workers": 4},
    began_s=9.25,
    ended_s=10.0,
)


def said(*stretches: Stretch) -> list[tuple[str, str]]:
    return list(stretch_lines(replace(study_result(), stretches=stretches)))


def test_a_run_is_told_with_all_that_is_known_and_the_next_with_what_is_new():
    (first, about), (second, more) = said(RUN, LATER)
    assert (first, second) == ("run 1, trials 0 to 4", "run 2, trials 5 to 9")
    assert about == (
        "2026-01-01T00:00:00+00:00: ended (evaluations); 9.2 s; tpe, seed 3, startup = 5; "
        "process with 1 worker; npu-tune 1.0, Python 3.12; some (x86_64), Linux"
    )
    assert more == (
        "2026-01-01T00:00:00+00:00: ended (evaluations); 0.8 s; process with 4 workers"
    )


def test_a_run_without_an_end_was_killed_and_the_last_one_may_still_run():
    killed = replace(RUN, ended=None, ended_s=None, stopped=None)
    open_end = replace(LATER, ended=None, ended_s=None, stopped=None, last_trial=None)
    (_, first), (name, last) = said(killed, open_end)
    assert ": killed;" in first
    assert name == "run 2, from trial 5 on"
    assert ": runs, or was killed;" in last


def test_of_many_runs_the_first_and_the_last_are_told():
    many = [
        replace(RUN, search=SearchSettings(5 * n, "tpe", 3), last_trial=5 * n + 4)
        for n in range(40)
    ]
    lines = said(*many)
    assert len(lines) == 11
    assert lines[3] == ("30 more runs", "up to trial 164")
    assert lines[4][0] == "run 34, trials 165 to 169"


def test_a_study_says_how_often_it_was_run_where_that_is_more_than_once():
    result = study_result()
    assert runs_line(replace(result, stretches=(RUN,))) == ""
    line = runs_line(replace(result, stretches=(replace(RUN, ended=None), LATER)))
    assert line.startswith(
        "Run 2 times, 1 of them killed; last trials 5 to 9: ended (evaluations)."
    )


def test_the_document_has_equal_surroundings_once_and_marks_what_was_killed():
    unknown = Stretch(SearchSettings(0, "random", 1))
    document = stretches_document([unknown, replace(RUN, ended=None), LATER])
    assert len(document["surroundings"]) == 1
    assert [each["surroundings"] for each in document["stretches"]] == [None, 0, 0]
    assert [each["killed"] for each in document["stretches"]] == [False, True, False]
    assert "command" not in stretches_document([RUN], commands=False)["stretches"][0]
