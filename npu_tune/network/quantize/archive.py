"""Reads calibration data from .npz files."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Network
from npu_tune.network.quantize.calibrate import check_calibration, check_names

_REMEDY = "Write it with numpy.savez(path, **{input_name: samples})."
_SUFFIX = ".npy"
_CHUNK_BYTES = 1 << 20
_END_BYTES = 1 << 17
"""More than the end of an archive with the longest comment."""
_MOST_DIRECTORY_BYTES = 5_000_000
"""Some ten thousands of entries."""
_MOST_DEFLATED = 1032
"""How many times smaller deflate makes a file at most (zlib's technical details)."""


def load_calibration(path: str | os.PathLike[str], network: Network) -> dict[str, NDArray[Any]]:
    """Reads calibration data for a network.

    Only what is there for the inputs is read, once its header and its size agree and fit in the
    budget.

    Args:
        path: an .npz file with one array per input of the network, under the input's name; the
            first dimension counts the samples, the others are the input's without its batch.
        network: the network.

    Raises:
        ModelError: if the file is missing, damaged or too large, or an array is missing or has
            another shape.
    """
    file = Path(path)
    budget = ReadingBudget(str(file), remedy="Give fewer samples.")
    names = [name for name in network.inputs if not network.tensors[name].is_constant]
    with _opened(file) as (archive, entries):
        check_names(entries, names)
        data = {
            name: _array(archive, entries[name], name, file.stat().st_size, budget)
            for name in names
        }
    check_calibration(data, {name: network.tensors[name].shape for name in names})
    return data


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Reads all arrays of numbers in an .npz file, under the same budget.

    Raises:
        ModelError: if the file is missing, damaged or too large.
    """
    file = Path(path)
    budget = ReadingBudget(str(file), remedy="Give fewer samples.")
    with _opened(file) as (archive, entries):
        return {
            name: _array(archive, entry, name, file.stat().st_size, budget)
            for name, entry in entries.items()
        }


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """An archive and its entries by the arrays' names; says what is wrong with it."""
    try:
        with file.open("rb") as stream:
            if stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise ModelError(f"The file {str(file)!r} is not an .npz file.", remedy=_REMEDY)
        _require_short_directory(file)
        with zipfile.ZipFile(file) as archive:
            yield archive, {e.filename.removesuffix(_SUFFIX): e for e in archive.infolist()}
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {str(file)!r}.", remedy=_REMEDY) from error
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"The calibration file {str(file)!r} cannot be read: {error}.", remedy=_REMEDY
        ) from error


def _require_short_directory(file: Path) -> None:
    """Refuses an archive of very many entries, all of which are read when it is opened.

    The size of the directory stands in records at the end of the file, behind which only a comment
    may come (APPNOTE.TXT of PKWARE, 4.3.14 and 4.3.16).
    """
    with file.open("rb") as stream:
        stream.seek(max(file.stat().st_size - _END_BYTES, 0))
        end = stream.read(_END_BYTES)
    found = end.rfind(b"PK\5\6")
    sizes = [struct.unpack_from("<L", end, found + 12)[0]] if 0 <= found <= len(end) - 16 else []
    # Of an archive of more than 4 GB the size stands in a longer record, and a pointer between.
    if found >= 76 and end.startswith(b"PK\6\7", found - 20):
        sizes.append(struct.unpack_from("<Q", end, found - 36)[0])
    if max(sizes, default=0) > _MOST_DIRECTORY_BYTES:
        raise ModelError(
            f"The directory of the calibration file {str(file)!r} has {max(sizes):,} bytes, so "
            "that it lists far more arrays than any network has inputs.",
            remedy=_REMEDY,
        )


def _array(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    name: str,
    archive_bytes: int,
    budget: ReadingBudget,
) -> NDArray[Any]:
    """Reads one array, after everything that is said of its size was compared.

    Raises:
        ModelError: if sizes differ, or it holds no numbers.
    """
    factors = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _MOST_DEFLATED}
    factor = factors.get(entry.compress_type, 0)
    with archive.open(entry) as stream:
        shape, fortran_order, dtype = _header(stream, name)
        if dtype.kind not in "fiu":
            raise _array_error(name, f"holds {dtype}, not numbers")
        size = math.prod(shape) * dtype.itemsize
        whole = stream.tell() + size
        budget.take(size, f"the array {name!r}")
        packed = min(entry.compress_size, archive_bytes)
        if min(shape, default=0) < 0 or entry.file_size != whole or packed * factor < whole:
            raise _array_error(
                name,
                f"is damaged: {entry.compress_size:,} bytes of the file are {entry.file_size:,} "
                f"unpacked, and the shape {shape} needs {whole:,}",
            )
        flat = np.empty(math.prod(shape), dtype)
        _fill(stream, flat, budget)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        if npy.read_magic(stream) != (1, 0):  # the others are for records, with longer headers
            raise _array_error(name, "is no plain array")
        return npy.read_array_header_1_0(stream)
    except ModelError:
        raise
    except Exception as error:  # it is parsed as Python, whose errors are of many kinds
        raise _array_error(
            name, f"has a header that cannot be read ({type(error).__name__})"
        ) from error


def _fill(stream: IO[bytes], flat: NDArray[Any], budget: ReadingBudget) -> None:
    """Reads the values of an array; the end of the stream comes with the check of its sum."""
    if not flat.size:
        return
    content, position = flat.view(np.uint8), 0
    while position < len(content):
        budget.check_time()
        part = stream.read(min(_CHUNK_BYTES, len(content) - position))
        if not part:
            raise EOFError("an array ends early")
        content[position : position + len(part)] = np.frombuffer(part, np.uint8)
        position += len(part)


def _array_error(name: str, reason: str) -> ModelError:
    return ModelError(f"The calibration data for {name!r} {reason}.", remedy=_REMEDY)
