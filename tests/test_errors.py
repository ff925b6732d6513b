from __future__ import annotations

import errno
import os
import resource

import pytest

from npu_tune.errors import EvaluationError, memory_limit, plain_error, remedy_for, sentence_of


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "can only be read"),
        (errno.EACCES, "permissions"),
        (errno.EPERM, "permissions"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "whole machine"),
        (errno.EIO, "disk fails"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.EISDIR, "that is a folder"),
        (errno.ENOTDIR, "a file where a folder has to be"),
        (errno.EEXIST, "has that name already"),
        (errno.ELOOP, "circle"),
        (errno.ENOMEM, "Memory is short"),
        (errno.ESTALE, "still there"),
    ],
)
def test_what_the_operating_system_refuses_has_a_remedy_that_fits(number, remedy):
    assert remedy in remedy_for(OSError(number, os.strerror(number)), "Something else.")


@pytest.mark.parametrize("error", [OSError("odd"), OSError(12345, "odd"), OSError()])
def test_what_it_does_not_name_has_the_remedy_of_the_place(error):
    assert remedy_for(error, "Something else.") == "Something else."


class BrokenWordsError(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("odd shape"), "ValueError: odd shape"),
        (MemoryError(), "MemoryError: memory ran out"),
        (AssertionError(), "AssertionError: a check in the code failed"),
        (ConnectionResetError(), "ConnectionResetError: a connection was lost"),
        (TimeoutError(), "TimeoutError: it took too long"),
        (ValueError("  "), "ValueError: it says nothing more"),
        (BrokenWordsError(), "BrokenWordsError: it says nothing more"),
    ],
)
def test_an_exception_that_says_nothing_is_put_into_words(error, sentence):
    assert sentence_of(error) == sentence


def test_an_error_of_ours_that_says_nothing_is_put_into_words():
    assert plain_error(EvaluationError("")).message == "EvaluationError: it says nothing more"


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({}, None),
        ({resource.RLIMIT_AS: 2**30}, 2**30),
        ({resource.RLIMIT_DATA: 2**29}, 2**29),
        ({resource.RLIMIT_AS: 2**30, resource.RLIMIT_DATA: 2**29}, 2**29),
    ],
)
def test_the_lower_limit_on_memory_counts(monkeypatch, limits, limit):
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(
        resource, "getrlimit", lambda kind: (limits.get(kind, unlimited), unlimited)
    )
    assert memory_limit() == limit
