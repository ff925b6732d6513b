from __future__ import annotations

import optuna
import pytest

from npu_tune import bind, suggest

ABOUT = ("--model", "ds-cnn", "--target", "fake-failing", "--workers", 1, "--quiet")


@pytest.fixture
def plain(here):
    """A study of plain Optuna on the fake target, in SQLite, with a trial of something else."""
    storage = f"sqlite:///{here}/plain.db"
    study = optuna.create_study(study_name="plain", storage=storage)
    with bind("ds-cnn", "fake-failing") as problem:

        def objective(trial):
            suggest(trial, problem.space)
            return float(trial.number)

        study.optimize(objective, n_trials=4)
    study.enqueue_trial({"learning_rate": 0.1})
    return storage


def test_a_study_of_plain_optuna_is_taken_over_and_searched_on(npu_tune, plain, here):
    done = npu_tune("import", plain, "--to", "new", *ABOUT, "--json")
    assert done.code == 0, done.err
    source = done.document["source"]
    assert source["trials"] == {"complete": 4, "waiting": 1}
    assert [each["number"] for each in source["refused"]] == [4]
    assert source["evaluated"] == source["configurations"] == 4
    assert done.document["new"] == 5

    again = npu_tune("import", plain, "--to", "new", *ABOUT, "--values", "cycles")
    assert again.code == 0, again.err
    assert "refused, trial 4: There is no knob 'learning_rate'" in again.out
    assert "cycles of" in again.out

    searched = npu_tune(
        "tune", "ds-cnn", "--target", "fake-failing", "--workers", 1, "--study", "new",
        "--evaluations", 8, "--quiet",
    )  # fmt: skip
    assert searched.code == 0, searched.err
    trials = npu_tune("show", "new", "--json").document["trials"]
    assert trials["finished"] + trials["failed"] == 8


def test_a_study_file_says_as_well_what_the_trials_are_about(npu_tune, plain, here):
    (here / "study.toml").write_text(
        '[model]\npath = "ds-cnn"\n[target]\nname = "fake-failing"\n'
        '[study]\nevaluations = 3\n[executor]\nkind = "inline"\n'
    )
    done = npu_tune("import", plain, "--to", "new", "--file", "study.toml", "--quiet")
    assert done.code == 0, done.err
    assert "beyond the number of evaluations: 2" in done.out
    assert (here / "new" / "study.toml").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--model and --target"),
        (("--model", "ds-cnn"), "one of them is not named"),
        (("--file", "study.toml", "--model", "ds-cnn"), "Leave --file out"),
        ((*ABOUT, "--values", "cycles,size"), "--values names 2"),
        ((*ABOUT, "--study-name", "other"), "no study 'other'"),
        ((*ABOUT, "--objective", "size"), "--objective names the metric 'size'"),
    ],
)
def test_what_is_missing_or_too_much_is_said(npu_tune, plain, here, options, said):
    done = npu_tune("import", plain, "--to", "new", *options)
    assert done.code in {2, 7}
    assert said in done.err
    assert not (here / "new").exists()
