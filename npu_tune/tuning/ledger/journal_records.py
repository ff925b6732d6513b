"""Takes in the records of a journal one by one, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from npu_tune._optuna_compat import JournalReplay
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.journal_line import DamagedLineError, LineReader, Read, lost_with
from npu_tune.tuning.packed import pack_attributes

_MOST_AT_ONCE = 64
"""Lines that are read together."""

_MEANINGLESS = (
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class RecordReader:
    """Follows a journal; what its records amount to is in ``replay``.

    Args:
        place: of the journal, as messages name it.
        word: what a record is called there, such as ``Line``.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.

    Attributes:
        replay: what the records amount to.
        count: of records that were taken in or passed over.
        last_sealed: the number that the last record with a checksum has; -1 before the first.
    """

    def __init__(self, place: str, word: str, *, lean: bool = False) -> None:
        self.replay = JournalReplay()
        self.count = 0
        self.last_sealed = -1
        self._place = place
        self._word = word
        self._lean = lean
        self._line_reader = LineReader(lean=lean)

    @property
    def next_number(self) -> int:
        """A number for the next record that is larger than that of any so far."""
        return max(self.last_sealed + 1, self.count)

    def take(self, line: bytes, ahead: Read | None = None) -> None:
        """Takes in a record.

        Args:
            line: without its newline.
            ahead: what it says, where that was read ahead.

        Raises:
            DamagedLineError: if it is not what was written, or makes no sense.
        """
        log, number = ahead or self._line_reader.read(line)
        if number is not None and number <= self.last_sealed:
            reason = f"it has the number {number} and stands behind number {self.last_sealed}"
            raise DamagedLineError(reason)
        if "user_attrs" in log and not self._lean:
            log["user_attrs"] = pack_attributes(log["user_attrs"])
        try:
            self.replay.apply(log)
        except _MEANINGLESS as error:
            raise DamagedLineError("it makes no sense behind the lines before it") from error
        if number is not None:
            self.last_sealed = number

    def damage(self, line: bytes, reason: str) -> StorageError:
        """The error for the next record, which is damaged."""
        number = self.count + 1
        return StorageError(
            f"{self._word} {number} of {self._place} is damaged: {reason}.",
            remedy=f"Restore it from a backup, or let `npu-tune doctor --repair` take out what is "
            f"damaged and keep a backup; {lost_with(line)}.",
            path=self._place,
            line=number,
        )

    def _ahead(self, lines: Iterable[bytes]) -> Iterator[tuple[bytes, Read | None]]:
        """Each line with what it says, where that can be read together with its neighbours."""
        rest, at_once = iter(lines), 1  # at first, as the first trial shows what is read ahead
        while some := list(islice(rest, at_once)):
            yield from zip(some, self._line_reader.read_ahead(some), strict=True)
            at_once = min(2 * at_once, _MOST_AT_ONCE)

    def _take(self, line: bytes, ahead: Read | None = None) -> None:
        try:
            self.take(line, ahead)
        except DamagedLineError as error:
            raise self.damage(line, str(error)) from error
