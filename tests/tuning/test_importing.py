from __future__ import annotations

import pytest
from fake_studies import run_fake, story
from fake_targets import LayeredTarget, fake_network
from servers import KINDS

from npu_tune.errors import StorageError, UsageError
from npu_tune.tuning import load_study_file, read_study, run_study
from npu_tune.tuning.importing import import_study
from npu_tune.tuning.ledger import open_ledger

LAYERWISE = {"name": "layerwise"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_goes_on_in_another_storage_as_it_would_have_where_it_was(
    kind, place_of, tmp_path
):
    run_fake(tmp_path / "old", 6, sampler=LAYERWISE)
    storage = None if kind == "journal" else place_of(kind)
    done = import_study(str(tmp_path / "old"), str(tmp_path / "new"), storage=storage)
    again = import_study(str(tmp_path / "old"), str(tmp_path / "new"), storage=storage)
    assert (done.new, again.new) == (done.trials, 0)
    assert story(read_study(tmp_path / "new")) == story(read_study(tmp_path / "old"))

    study = load_study_file(tmp_path / "new" / "study.toml")
    section = study.study.model_copy(update={"evaluations": 12})
    resumed = run_study(
        study.model_copy(update={"study": section}),
        network=fake_network(),
        target=LayeredTarget(),
    )
    whole = run_fake(tmp_path / "whole", 12, sampler=LAYERWISE)
    assert story(resumed) == story(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_comes_back_from_any_storage(kind, place_of, tmp_path):
    place = place_of(kind)
    run_fake(tmp_path / "old", 6, study={"storage": place})
    back = str(tmp_path / "back.db")
    with pytest.raises(UsageError, match="has to be named"):
        import_study(place, back)
    done = import_study(place, f"sqlite:///{back}", name="test")
    assert done.place == f"sqlite:///{back}"
    with (
        open_ledger(place, name="test", read_only=True) as one,
        open_ledger(f"sqlite:///{back}", name="test", read_only=True) as other,
    ):
        assert one.attributes() == other.attributes()
        assert one.note() == other.note()
        assert [t.user_attrs for t in one.trials()] == [t.user_attrs for t in other.trials()]


def test_a_copy_that_was_interrupted_is_taken_up_and_nothing_goes_on_with_half_of_it(
    tmp_path, monkeypatch
):
    run_fake(tmp_path / "old", 6)
    limit = 3
    kind = type(open_ledger(tmp_path / "probe", name="s", directions=["minimize"]))
    append = kind.append

    def stop(self, trial):
        if trial.number == limit:
            raise KeyboardInterrupt
        return append(self, trial)

    monkeypatch.setattr(kind, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        import_study(str(tmp_path / "old"), str(tmp_path / "new"))
    monkeypatch.undo()
    with pytest.raises(StorageError, match="did not write"):
        run_fake(tmp_path / "new", 6)
    done = import_study(str(tmp_path / "old"), str(tmp_path / "new"))
    assert done.new == done.trials - limit
    assert story(read_study(tmp_path / "new")) == story(read_study(tmp_path / "old"))


def test_another_study_in_the_new_place_is_left_alone(tmp_path):
    run_fake(tmp_path / "old", 6)
    run_fake(tmp_path / "other", 6, study={"seed": 1})
    with pytest.raises(StorageError, match="other trials"):
        import_study(str(tmp_path / "old"), str(tmp_path / "other"))


def test_a_study_that_npu_tune_did_not_write_is_refused(tmp_path):
    open_ledger(tmp_path / "s", name="s", directions=["minimize"]).close()
    with pytest.raises(UsageError, match="not written by npu-tune"):
        import_study(str(tmp_path / "s"), str(tmp_path / "t"), name="s")


@pytest.mark.server
def test_no_password_is_shown_of_where_a_study_is_now(place_of, tmp_path):
    place = place_of("postgresql")
    run_fake(tmp_path / "old", 3)
    secret = place.replace("@", ":secret@", 1)

    done = import_study(str(tmp_path / "old" / "ledger.journal"), secret, name="test")

    assert done.place == place.replace("@", ":***@", 1).replace(
        "postgresql:", "postgresql+psycopg:"
    )
