"""What drivers of a study have left behind that were all killed: numbers that nobody works on."""

from __future__ import annotations

from collections import defaultdict

from npu_tune.errors import StorageError
from npu_tune.numerals import number_ranges
from npu_tune.tuning.doctor.findings import Finding
from npu_tune.tuning.sharing.board import Board

_KIND = "orphaned reservations"
_REMEDY = "They are removed; whoever runs the study next proposes these anew."


def board_findings(text: str | None) -> list[Finding]:
    """What is wrong with a board of drivers none of which is alive.

    Args:
        text: of the board; None where there is none.
    """
    if text is None:
        return []
    try:
        board = Board.read(text)
    except StorageError as error:
        return [Finding(_KIND, error.message, _REMEDY)]
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in board.reservations.items():
        numbers[row.driver].append(number)
    for driver in board.beats:
        numbers.setdefault(driver, [])
    listed = "; ".join(
        f"{driver or 'nobody any more'}: {number_ranges(held) or 'none'}"
        for driver, held in sorted(numbers.items())
    )
    what = f"All drivers of the study were killed, and have left the numbers they had reserved ({listed or 'none'})."
    return [Finding(_KIND, what, _REMEDY)]
