from __future__ import annotations

import os
import pickle
import socket

import pytest

from npu_tune.evaluation.pool import messages
from npu_tune.evaluation.pool.messages import Answered, BrokenLineError, ClosedLineError, Line


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setattr(messages, "STALL_S", 0.05)
    monkeypatch.setattr(messages, "TAKE_S", 0.05)
    made = Line()
    yield made
    made.close()


@pytest.fixture
def theirs(line):
    with socket.socket(fileno=os.dup(line.lend())) as other:
        line.keep()
        yield other


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def test_a_message_arrives(line, theirs):
    theirs.sendall(framed(pickle.dumps(Answered(7))))

    assert line.receive() == Answered(7)


@pytest.mark.parametrize(
    "content",
    [
        framed(b"no pickle"),
        framed(b"cno_such_module\nname\n."),
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff" + b"\x7f" * 8,
        framed(pickle.dumps(Answered(7)))[:-2],
    ],
)
def test_what_is_no_message_breaks_the_line(line, theirs, content):
    theirs.sendall(content)

    with pytest.raises(BrokenLineError):
        line.receive()


@pytest.mark.parametrize("unread", [b"", b"a message"])
def test_a_line_that_was_closed_says_so_whatever_was_on_it(line, theirs, unread):
    line.send(unread)
    theirs.close()

    with pytest.raises(ClosedLineError):
        line.receive()


def test_nobody_waits_for_ever_for_a_message_to_be_taken(line, theirs):
    line.send(bytes(50_000_000))

    with pytest.raises(ClosedLineError):
        line.receive()
