from __future__ import annotations

import errno
import os
import resource
import signal
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


@pytest.mark.parametrize("damage", [b"{", b"[1]", b'{"op_code":4}', b'{"op_code":99}'])
def test_a_damaged_line_in_the_middle_is_named(path, damage):
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    for options in ({"read_only": True}, {}):
        with pytest.raises(StorageError, match=r"Line 3 of .*study\.journal is damaged"):
            open_ledger(path, name="s", **options)
    # The failed attempt holds no lock.
    path.write_bytes(b"\n".join(lines[:2]) + b"\n")
    open_ledger(path, name="s").close()


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
