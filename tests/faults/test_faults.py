"""Every fault of the matrix once; ``python tests/faults/matrix.py`` injects them often."""

from __future__ import annotations

import os

import pytest
from matrix import PAGE, faults, table_of
from postgres_server import NoServerError

FAULTS = list(faults())


def marks(fault):
    """What pytest has to know of a fault."""
    found = [pytest.mark.faults, pytest.mark.slow]
    found += [pytest.mark.ray] * ("ray" in fault.where.lower())
    found += [pytest.mark.server] * ("PostgreSQL" in fault.where)
    return found


@pytest.mark.parametrize("fault", [pytest.param(f, id=f.name, marks=marks(f)) for f in FAULTS])
def test_a_fault_loses_nothing_repeats_nothing_and_leaves_nothing_behind(tmp_path, fault):
    if fault.needs_mount and os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    inject = fault.briefly or fault.inject

    try:
        tally = inject(tmp_path, 1, 1)
    except NoServerError as reason:
        pytest.skip(str(reason))

    assert tally.injected >= 1
    assert (tally.lost, tally.again, tally.left, tally.wrong) == (0, 0, [], [])


def test_the_page_has_every_fault_and_nothing_that_was_lost():
    rows = table_of(PAGE.read_text())

    assert list(rows) == [fault.name for fault in FAULTS]
    for fault in FAULTS:
        injected, _, *wrong = rows[fault.name]
        assert injected >= fault.times
        assert wrong == [0, 0, 0, 0]
