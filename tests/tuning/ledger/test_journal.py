from __future__ import annotations

import errno
import json
import os
import resource
import signal
import warnings
from random import Random

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from trials import content, finished_trial

from npu_tune.errors import NpuTuneWarning, StorageError
from npu_tune.tuning.ledger import open_ledger

TWO = ("minimize", "maximize")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "study.journal"
    with open_ledger(file, name="s", directions=TWO) as ledger:
        for index in range(3):
            ledger.append(finished_trial(index))
    return file


def _read(path):
    with open_ledger(path, name="s", read_only=True) as ledger:
        return [trial.values[0] for trial in ledger.trials()]


def test_a_torn_last_line_is_repaired_with_a_backup_and_a_warning(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    torn = path.read_bytes()
    with pytest.warns(NpuTuneWarning, match="half written"):
        ledger = open_ledger(path, name="s")
    with ledger:
        assert [t.values[0] for t in ledger.trials()] == [0, 1]
        assert ledger.append(finished_trial(2)) == 2
    assert path.read_bytes() == whole
    assert path.with_name("study.journal.torn1").read_bytes() == torn


@given(cut=st.integers(1, 400))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_the_last_line_is_cut_the_others_are_kept(path, cut):
    whole = path.read_bytes()
    last = len(whole) - whole[:-1].rfind(b"\n") - 1
    torn = path.with_name("torn.journal")
    torn.write_bytes(whole[: -min(cut, last)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NpuTuneWarning)
        with open_ledger(torn, name="s") as ledger:
            # The line that lacks nothing but its end is kept.
            assert len(ledger.trials()) == (3 if cut == 1 else 2)
            ledger.append(finished_trial(2))
    assert _read(torn)[:2] == [0, 1]


def test_zeros_at_the_end_after_a_power_loss_are_repaired(path):
    path.write_bytes(path.read_bytes() + b"\0" * 5000)
    with pytest.warns(NpuTuneWarning):
        open_ledger(path, name="s").close()
    assert _read(path) == [0, 1, 2]


def test_a_reader_leaves_a_torn_line_alone(path):
    path.write_bytes(path.read_bytes()[:-40])
    torn = path.read_bytes()
    assert _read(path) == [0, 1]
    assert path.read_bytes() == torn


DEEP = b'{"op_code":4,"worker_id":"w","user_attrs":' + b"[" * 100_000

TRIAL = {
    "op_code": 4,
    "worker_id": "somebody",
    "study_id": 0,
    "datetime_start": "2026-01-02T03:04:05.678901+00:00",
    "datetime_complete": "2026-01-02T03:04:06.678901+00:00",
    "state": 1,
    "values": [1.0, 2.0],
    "distributions": {
        "conv/block": '{"name":"IntDistribution","attributes":'
        '{"log":false,"step":1,"low":0,"high":9}}'
    },
    "params": {"conv/block": 3},
    "user_attrs": {},
    "system_attrs": {},
    "intermediate_values": {},
}


def _with(**fields):
    return json.dumps(TRIAL | fields).encode()


def _text(old, new):
    assert old in _with()
    return _with().replace(old, new)


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"[1]",
        b"3",
        b'"op_code"',
        b'{"op_code":4}',
        b'{"op_code":99,"worker_id":"w"}',
        b'{"op_code":true,"worker_id":"w"}',
        DEEP,
        b"\0" * 40,
        b"\xff\xfe" + _with(),
        _text(b"somebody", b"some\xffbody"),
        _text(b"[1.0, 2.0]", b"[NaN, 2.0]"),
        _text(b"[1.0, 2.0]", b"[1e999, 2.0]"),
        _text(b"[1.0, 2.0]", b"[1" + b"0" * 5000 + b", 2.0]"),
        _text(b"[1.0, 2.0]", b"[1" + b"0" * 400 + b", 2.0]"),
        _text(b'"conv/block": 3', b'"conv/block": Infinity'),
        _text(b'"conv/block": 3', b'"conv/block": NaN'),
        _text(b'"conv/block": 3', b'"conv/block": 1e400'),
        _with(values=["1.0", 2.0]),
        _with(values=[True, 2.0]),
        _with(value=1.0),
        _with(state=9),
        _with(state="1"),
        _with(study_id="0"),
        _with(study_id=1),
        _with(study_id=-1),
        _with(params={"conv/block": 10}),
        _with(params={"conv/block": "3"}),
        _with(params={}),
        _with(params={"conv/other": 3}),
        _with(params=[3]),
        _with(distributions={"conv/block": "{"}),
        _with(distributions={"conv/block": 1}),
        _with(user_attrs=[]),
        _with(system_attrs=None),
        _with(intermediate_values={"a": 1.0}),
        _with(datetime_start="yesterday"),
        _with(datetime_start=5),
        b'{"op_code":9,"worker_id":"w","trial_id":7,"system_attr":{"a":1}}',
        b'{"op_code":8,"worker_id":"w","trial_id":-1,"user_attr":{"a":1}}',
        b'{"op_code":2,"worker_id":"w","study_id":0,"user_attr":{}}',
        b'{"op_code":0,"worker_id":"w","study_name":"t","directions":[7]}',
    ],
)
def test_a_damaged_line_is_named_wherever_it_stands(path, damage):
    lines = path.read_bytes().split(b"\n")
    for number, others in ((3, lines[3:]), (5, [b""])):
        harmed = b"\n".join([*lines[: number - 1], damage, *others])
        path.write_bytes(harmed)
        for options in ({"read_only": True}, {}):
            with pytest.raises(
                StorageError, match=rf"Line {number} of .*study\.journal is damaged"
            ):
                open_ledger(path, name="s", **options)
        assert path.read_bytes() == harmed
    # The failed attempts hold no lock.
    path.write_bytes(b"\n".join(lines[:2]) + b"\n")
    open_ledger(path, name="s").close()


def test_a_line_that_somebody_else_wrote_is_taken_at_its_word(path):
    path.write_bytes(path.read_bytes() + _with() + b"\n")
    assert _read(path) == [0, 1, 2, 1.0]


def test_what_is_lost_with_a_damaged_line_is_said(path):
    whole = path.read_bytes().split(b"\n")
    for number, lost in ((1, "all of the study is lost"), (2, "the trial on it is lost")):
        lines = list(whole)
        lines[number - 1] = lines[number - 1].replace(b"npu", b"nqu")
        path.write_bytes(b"\n".join(lines))
        with pytest.raises(StorageError, match="checksum does not fit") as caught:
            _read(path)
        assert lost in caught.value.remedy
        assert caught.value.data["line"] == number


def _content(path):
    with open_ledger(path, name="s", read_only=True) as ledger:
        return [content(trial) for trial in ledger.trials()], ledger.attributes()


def test_no_changed_byte_is_read_as_anything_else(path):
    with open_ledger(path, name="s") as ledger:
        ledger.set_attribute("limits", {"sram_bytes": 1})
        ledger.append(finished_trial(3, failed=True))
    whole = path.read_bytes()
    random = Random(1)
    for _ in range(1500):
        harmed = bytearray(whole)
        harmed[random.randrange(len(harmed))] ^= random.randrange(1, 256)
        path.write_bytes(harmed)
        with pytest.raises(StorageError, match=r"Line \d+ of .* is damaged"):
            _content(path)


@given(position=st.integers(0, 10_000), change=st.integers(1, 255))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_writer_takes_no_changed_byte_for_anything_else_either(path, position, change):
    whole = path.read_bytes()
    harmed = bytearray(whole)
    harmed[position % len(whole)] ^= change
    other = path.with_name("harmed.journal")
    other.write_bytes(harmed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NpuTuneWarning)
        try:
            with open_ledger(other, name="s") as ledger:
                found = [content(trial) for trial in ledger.trials()]
        except StorageError:
            assert other.read_bytes() == harmed
        else:
            # Such as a line's end that became a space, which is one again.
            assert found == [content(finished_trial(index)) for index in range(3)]


@pytest.mark.parametrize(
    "order", [(0, 1, 1, 2, 3), (0, 2, 1, 3), (0, 1, 2, 3, 3), (0, 1, 2, 3, 1)]
)
def test_lines_that_are_repeated_or_out_of_order_are_damaged(path, order):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(StorageError, match="stands behind number"):
        _read(path)


def test_a_line_may_be_taken_out(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with open_ledger(path, name="s") as ledger:
        assert ledger.append(finished_trial(3)) == 2
    assert _read(path) == [0, 2, 3]


@pytest.mark.parametrize("blank", [b"\n", b"\n\n\n", b"  \t\n", b"\r\n", b"   "])
def test_blank_lines_mean_nothing_and_are_gone_when_somebody_writes(path, blank):
    whole = path.read_bytes()
    path.write_bytes(whole + blank)
    assert _read(path) == [0, 1, 2]
    with open_ledger(path, name="s") as ledger:
        assert path.read_bytes() == whole
        path.write_bytes(whole + blank)
        assert ledger.append(finished_trial(3)) == 3
    assert _read(path) == [0, 1, 2, 3]
    assert optuna_trials(path) == [0, 1, 2, 3]


@pytest.mark.parametrize("blank", [b"\n", b"\n\n\n", b"  \t\n", b"\r\n", b"   "])
def test_a_study_that_goes_on_behind_blank_lines_reads_what_it_writes(path, blank):
    path.write_bytes(path.read_bytes() + blank)
    with open_ledger(path, name="s") as ledger:
        for number in (3, 4):
            ledger.append(finished_trial(number))
            ledger.set_attribute("key", number)
            assert len(ledger.trials()) == number + 1
            assert ledger.attributes()["key"] == number
    assert _read(path) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("blank", [b"\n", b" \n\n", b"  "])
def test_a_journal_of_blank_lines_alone_holds_no_study_yet(tmp_path, blank):
    path = tmp_path / "journal"
    path.write_bytes(blank)
    with open_ledger(path, name="s", directions=["minimize"]) as ledger:
        ledger.append(finished_trial(0))
        assert len(ledger.trials()) == 1
    assert _read(path) == [0]


def test_blank_lines_between_others_mean_nothing(path):
    path.write_bytes(b"\n" + path.read_bytes().replace(b"\n", b"\n \n\n"))
    assert _read(path) == [0, 1, 2]
    with open_ledger(path, name="s") as ledger:
        ledger.append(finished_trial(3))
    assert _read(path) == [0, 1, 2, 3]


def optuna_trials(path):
    storage = JournalStorage(JournalFileBackend(str(path)))
    return [trial.values[0] for trial in optuna.load_study(study_name="s", storage=storage).trials]


def as_before_checksums(path):
    """Makes a journal one that an earlier version wrote."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        del line["seq"], line["crc32"]
        line["worker_id"] = "npu-tune"
    texts = [json.dumps(line, separators=(",", ":")) + "\n" for line in lines]
    path.write_text("".join(texts))


def test_a_journal_without_checksums_is_read_and_gone_on_with(path):
    sealed = _content(path)
    as_before_checksums(path)
    assert _content(path) == sealed
    with open_ledger(path, name="s") as ledger:
        assert ledger.append(finished_trial(3)) == 3
    assert _read(path) == optuna_trials(path) == [0, 1, 2, 3]


def test_trials_of_optuna_stand_between_lines_with_checksums(path):
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="s", storage=storage)
    with open_ledger(path, name="s") as ledger:
        study.add_trial(finished_trial(3))
        assert ledger.append(finished_trial(4)) == 4
        trial = study.ask()
        trial.suggest_int("conv/block", 0, 9)
        study.tell(trial, [5.0, 5.0])
        assert ledger.append(finished_trial(6)) == 6
    assert _read(path) == optuna_trials(path) == [0, 1, 2, 3, 4, 5, 6]


def test_a_full_disk_leaves_no_half_trial_and_the_trial_can_be_written_later(path):
    size = path.stat().st_size
    with open_ledger(path, name="s") as ledger:
        with _file_size_limit(size + 100), pytest.raises(StorageError, match="cannot be written"):
            ledger.append(finished_trial(3))
        assert path.stat().st_size == size
        assert ledger.append(finished_trial(3)) == 3
        assert [content(t) for t in ledger.trials()] == [
            content(finished_trial(i)) for i in range(4)
        ]


def test_what_is_left_of_a_write_that_could_not_be_undone_is_repaired(path, monkeypatch):
    with open_ledger(path, name="s") as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", _fail)
            with _file_size_limit(path.stat().st_size + 100), pytest.raises(StorageError):
                ledger.append(finished_trial(3))
        with pytest.warns(NpuTuneWarning, match="half written"):
            assert ledger.append(finished_trial(3)) == 3
    assert _read(path) == [0, 1, 2, 3]


def test_a_url_names_a_journal_too(path):
    with open_ledger(f"journal://{path}", name="s", read_only=True) as ledger:
        assert len(ledger.trials()) == 3


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="No such file"):
        open_ledger(tmp_path / "no" / "study.journal", name="s", directions=TWO)


def test_a_folder_is_no_journal(tmp_path):
    with pytest.raises(StorageError):
        open_ledger(tmp_path, name="s", read_only=True)


def _fail(*_):
    raise OSError(errno.EIO, "input/output error")


class _file_size_limit:  # noqa: N801 - reads as a statement
    def __init__(self, size: int) -> None:
        self._size = size

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *_) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(path):
    path.write_bytes(b"notes\nof somebody\nels")
    with pytest.raises(StorageError, match="Line 1"):
        open_ledger(path, name="s")
    assert path.read_bytes() == b"notes\nof somebody\nels"
    assert not path.with_name("study.journal.torn1").exists()
