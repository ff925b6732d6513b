from __future__ import annotations

import gzip
import json

import pytest

from npu_tune.report.verification.differences import file_difference


@pytest.mark.parametrize(
    ("name", "recorded", "made", "words"),
    [
        ("a.bin", b"same", b"same", ""),
        ("a.bin", b"\0\xff\1\2", b"\0\xff\3\2", "1 of 4 bytes differ, the first at 2"),
        ("a.bin", b"\0\xff", b"\0\xff\1", "it has 2 bytes, made again 3"),
        ("a.csv", b"a\nb,1\n", b"a\nb,2\n", "line 2 is 'b,1', made again 'b,2'"),
        ("a.csv", b"a\n", b"a\nb\n", "it has 1 lines, made again 2"),
        ("a.csv", b"a\r\n", b"a\n", "it has 3 bytes, made again 2"),
        ("a.json", b'{"a": {"b": [1, 2]}}', b'{"a": {"b": [1, 3]}}', "a.b[1] is 2, made again 3"),
        ("a.json", b'{"a": 1}', b"{}", "a is 1, made again not there"),
        ("a.json", b"{}", b"{ }", "line 1 is"),
        ("a.json", b"no", b"{}", "line 1 is 'no', made again '{}'"),
    ],
)
def test_a_difference_is_said_by_what_kind_of_file_it_is(name, recorded, made, words):
    found = file_difference(name, recorded, made)
    assert found == words or (words.endswith("is") and found.startswith(words))


def test_of_many_values_that_differ_some_are_named_and_the_others_counted():
    one, other = ({str(i): i + more for i in range(9)} for more in (0, 1))
    found = file_difference("a.json", json.dumps(one).encode(), json.dumps(other).encode())
    assert found.startswith("0 is 0, made again 1; ")
    assert found.endswith("; and 4 more")


def test_of_what_is_measured_the_metrics_alone_may_differ():
    one, same, other = (
        json.dumps({"metrics": {"ms": ms}, "changes": {"a": a}}).encode()
        for ms, a in ((1, 1), (2, 1), (2, 2))
    )
    assert file_difference("configuration.json", one, same)
    assert not file_difference("configuration.json", one, same, measured=True)
    assert file_difference("configuration.json", one, other, measured=True) == (
        "changes.a is 1, made again 2"
    )


def test_packed_trials_are_the_same_however_they_were_packed():
    name = "again/trials.journal.gz"
    one, other = (gzip.compress(b"line\n" * 99, compresslevel=level) for level in (1, 9))
    assert one != other
    assert file_difference(name, one, other) == ""
    assert "damaged" in file_difference(name, b"no", other)
