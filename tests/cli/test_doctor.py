from __future__ import annotations


def test_a_torn_journal_is_told_repaired_and_then_sound(npu_tune, failing_study):
    study = failing_study(12)
    journal = study / "ledger.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4')

    told = npu_tune("doctor", study, "--json")
    assert told.code == 7
    assert [finding["kind"] for finding in told.document["findings"]] == ["torn end"]
    assert journal.read_bytes() != whole

    repaired = npu_tune("doctor", study, "--repair")
    assert repaired.code == 0, repaired.err
    assert "ledger.journal.backup1" in repaired.out
    assert journal.read_bytes() == whole
    assert "nothing is wrong" in npu_tune("doctor", "--storage", journal).out


def test_a_folder_whose_file_is_about_something_else_is_told(npu_tune, failing_study):
    study = failing_study(5)
    file = study / "study.toml"
    file.write_text(file.read_text().replace("fake-failing", "neural-art-stm32n6"))
    told = npu_tune("doctor", study, "--repair")
    assert told.code == 7
    assert "by hand" in told.out
    assert "neural-art-stm32n6" in told.out


def test_what_is_examined_is_named_once(npu_tune, here):
    assert npu_tune("doctor").code == 2
    assert npu_tune("doctor", here, "--storage", "x").code == 2


def test_an_imported_study_is_shown_and_resumed_in_its_new_place(npu_tune, failing_study, here):
    study = failing_study(12)
    new = here / "new"
    done = npu_tune("import", study, "--to", new, "--storage", f"sqlite:///{here}/t.db", "--json")
    assert done.code == 0, done.err
    assert done.document["new"] == done.document["trials"] > 0
    old, shown = (npu_tune("show", folder, "--json").document for folder in (study, new))
    assert shown["best"] == old["best"]
    file = new / "study.toml"
    file.write_text(file.read_text().replace("evaluations = 12", "evaluations = 14"))
    resumed = npu_tune("run", file, "--quiet")
    assert resumed.code == 0, resumed.err
    trials = npu_tune("show", new, "--json").document["trials"]
    assert trials["finished"] + trials["failed"] == 14
