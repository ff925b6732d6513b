from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import finished_trial

from npu_tune._optuna_compat import JournalLines
from npu_tune.space import Configuration
from npu_tune.tuning.attributes import trial_attributes
from npu_tune.tuning.ledger.journal_line import DamagedLineError, LineReader, seal
from npu_tune.tuning.packed import pack_attributes
from npu_tune.tuning.trial import TrialRecord

# Names of layers, and texts of people, that look like what a line is cut at.
PIECES = st.sampled_from(
    (*'"\\{}[],:é', ']}},"a', '}},"system_attrs":', ',"profile":', '{"columns":[', '],"rows":{')
)
HOSTILE = st.lists(PIECES | st.text(max_size=2), max_size=4).map("".join)
NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
PROFILES = st.dictionaries(HOSTILE, st.dictionaries(HOSTILE, st.floats(allow_nan=False)))
LOOKALIKE = st.just({"columns": ["a"], "rows": {"b": [1]}})
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | HOSTILE | LOOKALIKE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("profile", "key")) | HOSTILE, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def own_trials(draw):
    """A trial of this package, of any profile and metrics, perhaps with attributes of people."""
    record = TrialRecord(
        draw(st.integers(0, 9)),
        Configuration.of({"conv/block": 1}),
        draw(st.dictionaries(HOSTILE, NUMBERS, max_size=3)),
        profile=draw(PROFILES),
        message=draw(HOSTILE),
        notes=tuple(draw(st.lists(HOSTILE, max_size=2))),
    )
    attributes = trial_attributes(
        record, default=Configuration.of({"conv/block": 0}), key="k", elapsed_s=1.0
    )
    trial = finished_trial(record.number)
    trial.user_attrs = attributes | draw(st.dictionaries(HOSTILE, JSON, max_size=2))
    return trial


def _lines(*trials):
    """The first one so often that the reader knows the distributions behind it."""
    lines = JournalLines()
    return [seal(lines.trial(0, t), number) for number, t in enumerate((trials[0], *trials))]


def _as_text(log):
    """A log as JSON, which tells NaN from nothing else and keeps the order of fields."""
    log = log | {"user_attrs": pack_attributes(log["user_attrs"])}
    return json.dumps(log, default=dict)


@given(own_trials(), own_trials())
@settings(max_examples=150, deadline=None)
def test_what_is_read_ahead_is_what_is_read(one, other):
    first, *lines = _lines(one, other)
    reader = LineReader()
    reader.read(first[:-1])
    for line, ahead in zip(lines, reader.read_ahead(lines), strict=True):
        log, number = reader.read(line[:-1])
        if ahead is not None:
            assert _as_text(ahead[0]) == _as_text(log)
            assert ahead[1] == number


@given(own_trials(), own_trials())
@settings(max_examples=100, deadline=None)
def test_what_is_read_leanly_is_the_same_but_for_what_is_left_out(one, other):
    first, *lines = _lines(one, other)
    reader = LineReader(lean=True)
    reader.read(first[:-1])
    for line, ahead in zip(lines, reader.read_ahead(lines), strict=True):
        log, number = reader.read(line[:-1])
        if ahead is not None:
            left_out = {"params": {}, "distributions": {}, "datetime_start": None}
            assert _as_text(ahead[0]) == _as_text(
                {k: v for k, v in (log | left_out).items() if k != "datetime_complete"}
            )
            assert ahead[1] == number


def _usual(number=0):
    record = TrialRecord(
        number,
        Configuration.of({"conv/block": 1}),
        {"cycles": 7.5},
        profile={"conv": {"cycles": 7.0, "macs": 1.0}, "fc": {"cycles": 0.5}},
    )
    trial = finished_trial(number)
    trial.user_attrs = trial_attributes(
        record, default=Configuration.of({"conv/block": 0}), key="k", elapsed_s=1.0
    )
    return trial


@pytest.mark.parametrize("lean", [False, True])
def test_a_usual_trial_is_read_ahead(lean):
    first, *lines = _lines(_usual(), _usual(1))
    reader = LineReader(lean=lean)
    assert reader.read_ahead([first]) == [None]  # the distributions are not known yet
    reader.read(first[:-1])
    assert None not in reader.read_ahead(lines)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damaged_line_is_read_ahead(data):
    first, line = _lines(_usual())
    reader = LineReader(lean=data.draw(st.booleans()))
    reader.read(first[:-1])
    at = data.draw(st.integers(0, len(line) - 2))
    harmed = bytearray(line)
    harmed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedLineError):
        reader.read(bytes(harmed[:-1]))
    assert reader.read_ahead([line, bytes(harmed), line])[1] is None
    assert None not in reader.read_ahead([line, line])


def test_a_line_without_checksum_is_not_read_ahead():
    first, line = _lines(_usual())
    reader = LineReader()
    reader.read(first[:-1])
    unsealed = JournalLines().trial(0, _usual())
    of_others = unsealed.replace(b"npu-tune+crc32", b"somebody")
    assert reader.read_ahead([unsealed, of_others, b"", b"\n", line[:-40]]) == [None] * 5
