from __future__ import annotations

import sqlite3

import optuna
import pytest
from fake_studies import run_fake
from fake_targets import FailingTarget, LayeredTarget, NoisyTarget, Where, fake_network
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from trials import finished_trial

from npu_tune.errors import StorageError
from npu_tune.report import study_document, study_text
from npu_tune.tuning import read_study
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.reading import read_content


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "s"


def _content(folder, *, lean=False):
    return read_content(read_study_folder(folder), lean=lean)


def _agreed(folder):
    """What both readings say of a study: the lean one of `npu-tune show`, and the whole one."""
    lean, whole = read_study(folder), _content(folder).result()
    assert lean == whole
    assert study_text(lean) == study_text(whole)
    assert study_document(lean, folder=folder) == study_document(whole, folder=folder)
    return lean


STUDIES = {
    "limited": {"limits": {"sram_bytes": "7 KiB"}},
    "pareto": {"objective": {"metrics": ["cycles", "sram_bytes"], "mode": "pareto"}},
    "polished": {"sampler": {"name": "layerwise"}, "study": {"polish": True}},
    "noisy": {"target": NoisyTarget()},
    "failing": {"target": FailingTarget(where=Where("layer0/block", 16))},
    "small": {"network": fake_network(1), "study": {"evaluations": 90}},
}


@pytest.mark.parametrize("kind", STUDIES)
def test_a_study_is_the_same_however_much_of_it_is_read(folder, kind):
    run_fake(folder, 40, **STUDIES[kind])
    result = _agreed(folder)
    assert any(trial.failure for trial in result.trials) == (kind == "failing")
    assert any(trial.duplicate_of is not None for trial in result.trials) or kind != "small"


def test_on_every_storage_a_study_is_the_same_however_much_of_it_is_read(folder, place):
    run_fake(folder, 12, study={"storage": place})
    assert len(_agreed(folder).trials) == 12


def test_a_lean_reading_leaves_parameters_out_and_the_whole_one_does_not(folder, place):
    run_fake(folder, 12, study={"storage": place})
    assert all(trial.params for trial in _content(folder).trials)
    assert not _content(folder, lean=True).trials[-1].params


def test_trials_that_others_add_change_neither_reading(folder):
    run_fake(folder, 12)
    storage = JournalStorage(JournalFileBackend(str(folder / "ledger.journal")))
    optuna.load_study(study_name="test", storage=storage).add_trial(finished_trial(objectives=1))
    run_fake(folder, 24)
    assert [trial.number for trial in _agreed(folder).trials] == [*range(12), *range(13, 25)]


def test_a_study_is_the_same_wherever_others_begin_in_its_journal(tmp_path):
    # ... and however often the distributions change from one line to the next.
    place = str(tmp_path / "both.journal")
    folders = [tmp_path / name for name in ("a", "b")]
    for evaluations in (5, 10):
        for layers, folder in enumerate(folders, 1):
            study = {"name": folder.name, "storage": place}
            run_fake(folder, evaluations, network=fake_network(layers), study=study)
    for folder in folders:
        assert len(_agreed(folder).trials) >= 10


@pytest.mark.parametrize("number", [1, 40, 65, 66, 90])
def test_both_readings_tell_the_same_damaged_line(folder, number):
    run_fake(folder, 100, target=LayeredTarget(blocks=9))
    journal = folder / "ledger.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    harmed = bytearray(lines[number])
    harmed[len(harmed) // 2] ^= 4
    journal.write_bytes(b"".join((*lines[:number], harmed, *lines[number + 1 :])))
    told = []
    for lean in (True, False):
        with pytest.raises(StorageError, match=f"Line {number + 1} of .* is damaged") as caught:
            _content(folder, lean=lean)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_a_damaged_profile_in_a_database_is_told_when_it_is_looked_at(folder, tmp_path):
    run_fake(folder, 12, study={"storage": f"sqlite:///{tmp_path / 's.db'}"})
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute(
            "UPDATE trial_user_attributes SET value_json = substr(value_json, 1, 40)"
            " WHERE key = 'profile' AND trial_id = 3"
        )
    trial = read_study(folder).trials[2]
    assert trial.metrics
    with pytest.raises(StorageError, match="profile"):
        dict(trial.profile)
    with pytest.raises(StorageError, match="trial 2 is damaged"):
        _content(folder)


@pytest.mark.parametrize("harm", ["", "1,2", '"', "NaN]"])
def test_a_lean_reading_names_a_damaged_trial_of_a_database(folder, tmp_path, harm):
    run_fake(folder, 12, study={"storage": f"sqlite:///{tmp_path / 's.db'}"})
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'seconds' AND trial_id = 3",
            (harm,),
        )
    with pytest.raises(StorageError, match="trial 2 is damaged"):
        read_study(folder)
