from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    CompilerMemoryError,
    CompilerTimeoutError,
    IllegalConfigurationError,
    InaccurateOutputError,
    NpuTuneWarning,
    StorageError,
    WorkerLostError,
)
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.store import Store, store_path
from npu_tune.evaluation.stored_outcome import StoredOutcome
from npu_tune.targets import Evaluation, Identity

LIMITED = (WorkerLostError, CompilerCrashError, CompilerTimeoutError, CompilerMemoryError)
EVALUATION = Evaluation(
    {"cycles": 0.1 + 0.2},
    {"conv": {"cycles": 3.0, "wait": 1e-9}},
    ("a note",),
    {"cycles": 0.02},
)


def outcome(cycles):
    return Outcome(Evaluation({"cycles": cycles}), None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "answers.sqlite"


def test_an_evaluation_comes_back_exactly(path):
    with Store(path) as store:
        store.learn("key", Outcome(EVALUATION, None, 3.0))
    with Store(path) as store:
        found = store.find("key")
        assert store.find("other") is None
    assert found == Outcome(EVALUATION, None, 0.0)


@pytest.mark.parametrize("kind", [IllegalConfigurationError, CompilerError, InaccurateOutputError])
def test_what_the_target_says_of_a_configuration_comes_back_as_what_it_was(path, kind):
    with Store(path) as store:
        store.learn("key", Outcome.failed(kind("No.", remedy="Never.")))
        known = store.find("key").error
    assert type(known) is kind
    assert (known.message, known.remedy) == ("No.", "Never.")


@pytest.mark.parametrize("kind", LIMITED)
def test_what_may_be_the_machines_fault_is_not_kept(path, kind):
    with Store(path) as store:
        store.learn("key", Outcome.failed(kind("It died.")))
        assert store.find("key") is None
        store.learn("key", outcome(5.0))
        assert store.find("key") == outcome(5.0)


def test_the_first_outcome_stands(path):
    with Store(path) as store:
        store.learn("key", outcome(1.0))
        store.learn("key", outcome(5.0))
        assert store.find("key") == outcome(1.0)


def test_every_sample_is_kept(path):
    with Store(path) as store:
        for sample, cycles in enumerate((1.0, 2.0, 3.0)):
            store.learn("key", outcome(cycles), sample)
        assert [store.find("key", sample) for sample in range(4)] == [
            outcome(1.0),
            outcome(2.0),
            outcome(3.0),
            None,
        ]


def test_several_processes_write_the_same_file(path):
    program = (
        "import sys; from pathlib import Path;"
        "from npu_tune.evaluation import Outcome;"
        "from npu_tune.evaluation.store import Store;"
        "from npu_tune.targets import Evaluation;"
        "store = Store(Path(sys.argv[1]));"
        "[store.learn(f'{sys.argv[2]}-{n}', Outcome(Evaluation({'n': n}), None))"
        " for n in range(200)]"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with Store(path) as store:
        found = [store.find(f"{w}-{n}") for w in range(3) for n in range(200)]
    assert None not in found


@pytest.mark.parametrize("version", [1, 99])
def test_a_file_of_another_schema_is_refused(path, version):
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StorageError, match=f"schema version {version}.*Remove the file"):
        Store(path)


def test_a_file_that_is_no_database_is_set_aside_and_made_anew(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_bytes(b"no database at all, but some text that is long enough" * 20)
    with pytest.warns(NpuTuneWarning, match=r"is damaged; it begins anew.*text.sqlite.damaged"):
        store = Store(text)
    with store:
        store.learn("key", outcome(1.0))
        assert store.find("key") == outcome(1.0)
    assert (tmp_path / "text.sqlite.damaged").read_bytes().startswith(b"no database")


def damage(path):
    """Overwrites the middle of every page but the first, in which the schema stands."""
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xa5" * 64
    path.write_bytes(content)


def test_a_file_that_is_damaged_while_it_is_open_is_made_anew(path):
    with Store(path) as store:
        for number in range(300):
            store.learn(f"key{number}", Outcome(EVALUATION, None))
    with Store(path) as store:
        damage(path)
        with pytest.warns(NpuTuneWarning, match="is damaged"):
            assert store.find("key7") is None
        store.learn("key7", outcome(1.0))
        assert store.find("key7") == outcome(1.0)


def test_a_row_that_was_changed_is_dropped_with_a_warning(path):
    with Store(path) as store:
        for number in range(3):
            store.learn(f"key{number}", outcome(number))
    with sqlite3.connect(path) as connection:
        (blob,) = connection.execute("SELECT outcome FROM outcomes WHERE key = 'key0'").fetchone()
        connection.execute("UPDATE outcomes SET outcome = ? WHERE key = 'key1'", (blob,))
    with Store(path) as store:
        with pytest.warns(NpuTuneWarning, match="holds a damaged row, which is dropped"):
            assert store.find("key1") is None
        assert [row.key for row in store.rows()] == ["key0", "key2"]
        assert store.count() == 2


def test_what_was_not_used_longest_is_forgotten_first(path):
    with Store(path) as store:
        for number in range(4):
            store.learn(f"key{number}", outcome(number))
    with sqlite3.connect(path) as connection:
        for number in range(4):
            connection.execute(
                "UPDATE outcomes SET used = ? WHERE key = ?", (number + 1, f"key{3 - number}")
            )
    with Store(path) as store:
        store.find("key3")
        store.learn_all([])
        assert store.forget(share=0.5) == 2
        assert [row.key for row in store.rows()] == ["key0", "key3"]


def test_samples_of_another_machine_are_kept_apart(path):
    for machine, cycles in (("here", 1.0), ("there", 2.0)):
        with Store(path, machine=machine) as store:
            store.learn_all([StoredOutcome("key", outcome(cycles))] * 2, add=True)
    with Store(path, machine="here") as store:
        assert [store.find("key", number) for number in range(3)] == [
            outcome(1.0),
            outcome(1.0),
            None,
        ]
        assert store.count() == 4


def test_what_a_configuration_is_and_what_the_problem_is_come_back(path):
    with Store(path) as store:
        assert store.about() == {}
        store.describe({"model": {"path": "a"}})
        store.describe({"model": {"path": "b"}})
        store.learn("key", outcome(1.0), changes={"conv/tile": 4})
        assert store.about() == {"model": {"path": "b"}}
        assert store.row("key").changes == {"conv/tile": 4}


def test_a_file_that_cannot_be_opened_is_refused_for_the_systems_own_reason(path):
    path.mkdir(parents=True)

    with pytest.raises(StorageError, match="that is a folder"):
        Store(path)


def test_a_disk_without_room_is_named_as_the_reason(path):
    with Store(path) as store:
        store._file._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StorageError, match=r"is full.*Free some space"):
            store.learn("k" * 100_000, outcome(1.0))


def test_threads_of_a_process_use_a_store_together(path):
    with Store(path) as store, ThreadPoolExecutor(4) as threads:
        store.learn("0", outcome(0))
        list(threads.map(lambda n: store.learn(f"{n}", outcome(n)), range(1, 40)))
        found = list(threads.map(lambda n: store.find(f"{n}").evaluation, range(40)))
    assert [evaluation.metrics["cycles"] for evaluation in found] == list(range(40))


def test_another_compiler_version_has_another_file():
    one, two = (
        store_path(Path(), Identity("0" * 64, "npu", {"version": version})) for version in "12"
    )
    assert one != two


def test_an_evaluation_with_more_metrics_takes_the_place_of_one_with_fewer(path):
    lean, whole = outcome(1.0), Outcome(Evaluation({"cycles": 1.0, "flash": 2.0}), None)
    with Store(path) as store:
        store.learn("key", lean)
        store.learn("key", whole)
        assert store.find("key") == whole
        for later in (lean, outcome(3.0), Outcome.failed(CompilerError("No."))):
            store.learn("key", later)
            assert store.find("key") == whole
