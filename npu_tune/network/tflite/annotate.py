"""Writes texts into a TFLite file that stays as it is otherwise, byte by byte.

TFLite keeps texts for people in two places: names of tensors, and *metadata* of the model, each a
name and a buffer. An operator has none. FlatBuffers refer to what lies behind them, never before,
so that a new root table is put in front of the old file, and new names behind it:

.. code-block:: text

    new root, lists of metadata and buffers | the old file | new names of tensors

(FlatBuffers, "Binary Format"; the fields are those of TFLite's schema 3.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

from npu_tune.errors import ModelError
from npu_tune.network.tflite.damage import DAMAGE

ALIGNMENT = 64
"""The old file is moved by a multiple of this; TFLite aligns constants to 16 bytes."""

_IDENTIFIER = b"TFL3"
_VERSION, _SUBGRAPHS, _BUFFERS, _METADATA, _FIELDS = 0, 2, 4, 6, 8
"""Fields of the root table by number, and how many are known; all but the version are offsets."""
_TENSORS, _GRAPH_OUTPUTS, _OPERATORS = 0, 2, 3
"""Fields of a graph."""
_NAME, _OUTPUTS, _BUFFER_OFFSET = 3, 2, 1
"""A field of a tensor, of an operator and of a buffer."""
_ROOT = 28
"""Where the new root table stands: behind offset, identifier and its own table of fields."""


def annotate_tflite(
    model_bytes: bytes, *, metadata: Mapping[str, str], operators: Mapping[int, str]
) -> bytes:
    """A file that computes the same, with further metadata and longer names of tensors.

    Args:
        model_bytes: content of a TFLite file that was read before.
        metadata: text by name.
        operators: what the name of an operator's first output is continued with, by the index of
            the operator in the first graph. Outputs of the graph keep their names.

    Raises:
        ModelError: if the file has what this cannot move: constants outside of the FlatBuffer, or
            parts that are newer than the schema; or if parts are damaged that no reader looks at.
    """
    try:
        return _annotated(model_bytes, metadata, operators)
    except ModelError:
        raise
    except DAMAGE as error:
        raise ModelError(
            f"The TFLite file is damaged ({error}), and nothing can be written into it.",
            remedy="Copy or convert it again.",
        ) from error


def _annotated(
    model_bytes: bytes, metadata: Mapping[str, str], operators: Mapping[int, str]
) -> bytes:
    old = _Old(model_bytes)
    old.require_movable()
    front = _Front(old, metadata)
    moved = bytearray(front.content())
    start = len(moved)
    moved += model_bytes
    for place, name in _longer_names(old, operators):
        moved += b"\0" * (-len(moved) % 4)
        struct.pack_into("<I", moved, start + place, len(moved) - start - place)
        moved += _string(name)
    return bytes(moved)


def _longer_names(old: _Old, operators: Mapping[int, str]) -> Iterator[tuple[int, bytes]]:
    """Places of names in the old file, and the names that they are to refer to."""
    graph = old.vector(old.root, _SUBGRAPHS)[0]
    tensors, listed = old.vector(graph, _TENSORS), old.vector(graph, _OPERATORS)
    kept = set(old.numbers(graph, _GRAPH_OUTPUTS))
    for index, more in operators.items():
        written = old.numbers(listed[index], _OUTPUTS)[:1]
        for tensor in written:
            place = old.place(tensors[tensor], _NAME)
            if place is not None and tensor not in kept:
                yield place, old.text(place) + more.encode()


class _Old:
    """The file as it was: positions of its tables and fields."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.root = self._number("<I", 0)

    def _number(self, form: str, place: int) -> int:
        number: int = struct.unpack_from(form, self._content, place)[0]
        return number

    def fields(self, table: int) -> list[int]:
        """Places of a table's fields by number; 0 for those that are left out."""
        described = table - self._number("<i", table)
        count = (self._number("<H", described) - 4) // 2
        offsets = struct.unpack_from(f"<{count}H", self._content, described + 4)
        return [table + offset if offset else 0 for offset in offsets]

    def place(self, table: int, number: int) -> int | None:
        """Where a field stands; None where it is left out."""
        places = self.fields(table)
        return (places[number] or None) if number < len(places) else None

    def field(self, table: int, number: int) -> int | None:
        """What a field that is an offset refers to; None where it is left out."""
        place = self.place(table, number)
        return None if place is None else place + self._number("<I", place)

    def vector(self, table: int, number: int) -> list[int]:
        """What the elements of a field that is a list of tables refer to."""
        return [each + self._number("<I", each) for each in self._elements(table, number)]

    def numbers(self, table: int, number: int) -> list[int]:
        """The elements of a field that is a list of integers."""
        return [self._number("<i", each) for each in self._elements(table, number)]

    def _elements(self, table: int, number: int) -> range:
        place = self.field(table, number)
        if place is None:
            return range(0)
        return range(place + 4, place + 4 + 4 * self._number("<I", place), 4)

    def text(self, place: int) -> bytes:
        """What a field that is a string holds."""
        start = place + self._number("<I", place)
        return self._content[start + 4 : start + 4 + self._number("<I", start)]

    def scalar(self, table: int, number: int, form: str = "<I") -> int:
        """A field that is a number; 0 where it is left out."""
        place = self.place(table, number)
        return 0 if place is None else self._number(form, place)

    def require_movable(self) -> None:
        """Raises ModelError for what cannot be put elsewhere in a file."""
        outside = any(
            self.scalar(buffer, _BUFFER_OFFSET, "<Q") > 1
            for buffer in self.vector(self.root, _BUFFERS)
        )
        if outside or any(self.fields(self.root)[_FIELDS:]):
            raise ModelError(
                "The TFLite file has constants outside of its FlatBuffer, or parts that are newer "
                "than what is known here, and nothing can be written into it.",
                remedy="Convert the network to a file of less than 2 GB.",
            )


class _Front:
    """What is put before the old file.

    Args:
        old: that file.
        metadata: text by name, which is added.
    """

    def __init__(self, old: _Old, metadata: Mapping[str, str]) -> None:
        self._old = old
        self._data = bytearray(struct.pack("<I", _ROOT) + _IDENTIFIER)
        self._later: list[tuple[int, int]] = []
        """Places that refer into the old file, and what they refer to there."""
        self._add_root(metadata)

    def content(self) -> bytes:
        """The bytes, padded, with all references in place."""
        self._data += b"\0" * (-len(self._data) % ALIGNMENT)
        for place, target in self._later:
            struct.pack_into("<I", self._data, place, len(self._data) + target - place)
        return bytes(self._data)

    def _add_root(self, metadata: Mapping[str, str]) -> None:
        old, new = self._old, (_BUFFERS, _METADATA)
        there = [
            number == _VERSION or number in new or old.field(old.root, number) is not None
            for number in range(_FIELDS)
        ]
        offsets = [4 + 4 * number if is_there else 0 for number, is_there in enumerate(there)]
        sizes = (4 + 2 * _FIELDS, 4 + 4 * _FIELDS)
        self._data += struct.pack(f"<HH{_FIELDS}H", *sizes, *offsets)
        assert len(self._data) == _ROOT, "the root follows its table of fields"  # noqa: S101
        self._data += struct.pack("<i", _ROOT - 8) + b"\0" * 4 * _FIELDS
        struct.pack_into("<I", self._data, _ROOT + 4, old.scalar(old.root, _VERSION))
        for number in range(1, _FIELDS):
            target = old.field(old.root, number)
            if number not in new and target is not None:
                self._later.append((_ROOT + 4 + 4 * number, target))
        buffers = old.vector(old.root, _BUFFERS)
        first = len(buffers)
        self._add_list(
            _METADATA,
            old.vector(old.root, _METADATA),
            [self._metadata_writer(name, first + i) for i, name in enumerate(metadata)],
        )
        self._add_list(_BUFFERS, buffers, [self._buffer_writer(t) for t in metadata.values()])

    def _add_list(self, number: int, before: list[int], writers: list[Callable[[], int]]) -> None:
        """A list of the tables that the old file has and of new ones, as a field of the root."""
        self._align()
        self._refer(_ROOT + 4 + 4 * number)
        self._data += struct.pack("<I", len(before) + len(writers))
        first = len(self._data)
        self._data += b"\0" * 4 * (len(before) + len(writers))
        self._later += [(first + 4 * index, target) for index, target in enumerate(before)]
        for index, write in enumerate(writers, start=len(before)):
            place = first + 4 * index
            struct.pack_into("<I", self._data, place, write() - place)

    def _metadata_writer(self, name: str, buffer: int) -> Callable[[], int]:
        def write() -> int:
            table = self._table(8, 12, 4, 8)
            self._data += struct.pack("<II", 0, buffer)
            self._refer(table + 4)
            self._data += _string(name.encode())
            return table

        return write

    def _buffer_writer(self, text: str) -> Callable[[], int]:
        def write() -> int:
            table = self._table(6, 8, 4)
            self._data += struct.pack("<I", 0)
            self._data += b"\0" * (-(len(self._data) + 4) % 16)
            self._refer(table + 4)
            content = text.encode()
            self._data += struct.pack("<I", len(content)) + content
            return table

        return write

    def _table(self, described: int, size: int, *offsets: int) -> int:
        """Begins a table, with the table of its fields before it; returns its place."""
        self._align()
        self._data += struct.pack(f"<HH{len(offsets)}H", described, size, *offsets)
        self._align()
        table = len(self._data)
        self._data += struct.pack("<i", -(-described // 4) * 4)
        return table

    def _refer(self, place: int) -> None:
        """Lets a place refer to what comes next."""
        struct.pack_into("<I", self._data, place, len(self._data) - place)

    def _align(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)


def _string(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content + b"\0" + b"\0" * (-(len(content) + 1) % 4)
