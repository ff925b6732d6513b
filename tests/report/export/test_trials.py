from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path

import pytest

from npu_tune.errors import StorageError
from npu_tune.report.export import trials

HERE = Path("trials.journal.gz")


def packed(byte: bytes, megabytes: int) -> bytes:
    """A file of gzip that stands for so many bytes of one kind."""
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(byte * 1_000_000) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize(("byte", "said"), [(b"\0", "zero bytes"), (b" ", "more than 50,000,000")])
def test_a_file_that_stands_for_gigabytes_is_refused_in_little_memory(byte, said, monkeypatch):
    monkeypatch.setattr(trials, "MOST_UNPACKED_BYTES", 50_000_000)
    content = packed(byte, 200)
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match=said) as refusal:
            trials.unpacked(content, HERE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    assert "Export the trial once more" in refusal.value.remedy


@pytest.mark.parametrize("content", [b"", gzip.compress(b"{}\n")[:-3], gzip.compress(b"{}\n") * 2])
def test_what_is_cut_off_or_has_something_behind_its_end_is_damaged(content):
    with pytest.raises(StorageError, match="is damaged"):
        trials.unpacked(content, HERE)


def test_what_is_whole_is_unpacked():
    assert trials.unpacked(gzip.compress(b"line\n" * 99), HERE) == b"line\n" * 99
