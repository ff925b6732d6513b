import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from npu_tune.compare.runs.answers import SharedAnswers, answers_path
from npu_tune.errors import (
    CompilerCrashError,
    IllegalConfigurationError,
    StorageError,
    WorkerLostError,
)
from npu_tune.targets import Evaluation

ANSWER = Evaluation({"cycles": 0.1 + 0.2}, {"conv": {"cycles": 3.0, "wait": 1e-9}}, ("a note",))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "answers.sqlite"


def test_an_answer_comes_back_exactly(path):
    with SharedAnswers(path) as answers:
        answers.learn("key", ANSWER)
    with SharedAnswers(path) as answers:
        assert answers.find("key") == ANSWER
        assert answers.find("other") is None


def test_a_failure_comes_back_as_what_it_was(path):
    with SharedAnswers(path) as answers:
        answers.learn("key", IllegalConfigurationError("No.", remedy="Never."))
        known = answers.find("key")
    assert isinstance(known, IllegalConfigurationError)
    assert (known.message, known.remedy) == ("No.", "Never.")


def test_the_first_answer_stands(path):
    with SharedAnswers(path) as answers:
        answers.learn("key", ANSWER)
        answers.learn("key", Evaluation({"cycles": 5.0}))
        assert answers.find("key") == ANSWER


def test_a_lost_worker_says_nothing_about_the_configuration(path):
    with SharedAnswers(path) as answers:
        answers.learn("key", WorkerLostError("gone"))
        assert answers.find("key") is None


def test_without_keeping_only_what_ends_workers_is_remembered(path):
    with SharedAnswers(path, keep=False) as answers:
        answers.learn("key", ANSWER)
        answers.learn("bad", CompilerCrashError("It died."))
        assert answers.find("key") is None
        assert isinstance(answers.find("bad"), CompilerCrashError)


def test_several_processes_write_the_same_file(path):
    program = (
        "import sys; from pathlib import Path;"
        "from npu_tune.compare.runs.answers import SharedAnswers;"
        "from npu_tune.targets import Evaluation;"
        "answers = SharedAnswers(Path(sys.argv[1]));"
        "[answers.learn(f'{sys.argv[2]}-{n}', Evaluation({'n': n})) for n in range(200)]"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with SharedAnswers(path) as answers:
        found = [answers.find(f"{w}-{n}") for w in range(3) for n in range(200)]
    assert None not in found


def test_a_file_of_another_schema_or_no_database_is_refused(path):
    SharedAnswers(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="schema version 99"):
        SharedAnswers(path)
    text = path.with_name("text.sqlite")
    text.write_bytes(b"no database at all, but some text that is long enough" * 20)
    with pytest.raises(StorageError, match="cannot be used"):
        SharedAnswers(text)


def test_another_compiler_version_has_another_file():
    known = {"target": "npu", "model_sha256": "0" * 64}
    one, two = (answers_path(Path(), **known, fingerprint={"version": v}) for v in "12")
    assert one != two
