"""Archives of arrays and recordings that are damaged, hold objects, or unpack to gigabytes."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_META = b"npu_tune.comparison"
_RECORDING = Path(__file__).parents[2] / "studies/tpu-mlir/large/results.parquet"

INPUT = "x"
"""The input of the network that the archives are for, which takes (samples, 3, 8, 8)."""


class Payload:
    """Something that runs a program wherever it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch ../pickled",)


def npz(generator: random.Random) -> bytes:
    """An archive of arrays for calibration."""
    chance = generator.random()
    if chance < 0.05:
        return _plain(compressed=chance < 0.025)
    if chance < 0.35:
        return _flipped(_plain(compressed=generator.random() < 0.5), generator)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", generator.choice((0, 8, 8, 12, 14))) as archive:
        for _ in range(generator.choice((1, 1, 2, 300))):
            name = generator.choice((f"{INPUT}.npy", INPUT, f"{INPUT}.npy", "labels.npy", "../../out.npy", "/x.npy",
                                     "x" * 60_000, "a\0.npy"))  # fmt: skip
            archive.writestr(name, _member(generator))
    content = stream.getvalue()
    return content if generator.random() < 0.8 else _flipped(content, generator)


def _plain(*, compressed: bool) -> bytes:
    stream = io.BytesIO()
    values = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    (np.savez_compressed if compressed else np.savez)(stream, **{INPUT: values})
    return stream.getvalue()


def _member(generator: random.Random) -> bytes:
    chance = generator.random()
    if chance < 0.15:
        return pickle.dumps(Payload())
    if chance < 0.3:
        stream = io.BytesIO()
        np.save(stream, np.asarray([Payload()], object), allow_pickle=True)
        return stream.getvalue()
    shape = generator.choice((
        "(2, 3, 8, 8)", "(-1, 3, 8, 8)", "(4000000000, 3, 8, 8)", "(1" + ", 1" * 5000 + ")",
        "(" * 3000, "__import__('os').system('touch ../run')", "(10000000, 3, 8, 8)", "()",
        "(0, 3, 8, 8)", "(2.0, 3, 8, 8)", "(True, 3, 8, 8)", "(9223372036854775807, 3, 8, 8)",
        "(300000, 3, 8, 8)",
    ))  # fmt: skip
    dtype = generator.choice(("'<f4'", "'<f4'", "'|O'", "'<f8'", "[('a', '<f4')]", "'|S9999999'",
                              "'<c16'", "'m8'", "'<U99999999'", "'>f2'", "None"))  # fmt: skip
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * generator.choice((0, 10, 9000)) + b"\n"
    magic = b"\x93NUMPY" + generator.choice((b"\1\0", b"\1\0", b"\1\0", b"\2\0", b"\x09\0"))
    length = generator.choice((len(header) % 65536, 65535, 0))
    body = b"\0" * generator.choice((0, 1536, 3_000_000, 300_000_000 if chance > 0.97 else 8))
    return magic + struct.pack("<H", length) + header + body


def recording(generator: random.Random) -> bytes:
    """A recording of a comparison as a Parquet file."""
    chance = generator.random()
    if chance < 0.4:
        return _flipped(_recorded(_sample()[1], 1), generator)
    meta: Any = json.loads(_sample()[1])
    for _ in range(generator.choice((1, 2, 5))):
        _spoil(meta, generator)
    text = json.dumps(meta)
    if chance > 0.9:
        text = generator.choice(("[" * 100_000, "{}", "null", '{"schema_version": 1}', "9" * 6000,
                                 '{"schema_version": [[1]]}', "\ud800"))  # fmt: skip
    return _recorded(text, generator.choice((0, 1, 1, 1, 3, 3000 if chance > 0.97 else 2)))


@cache
def _sample() -> tuple[pa.Table, str]:
    """The rows of a recording of this project, and what it says of them."""
    table = pq.read_table(_RECORDING)
    return table, (table.schema.metadata or {})[_META].decode()


def _spoil(value: Any, generator: random.Random) -> None:
    """Changes something somewhere in a document."""
    while True:
        keys = [*value] if isinstance(value, dict) else [*range(len(value))]
        if not keys:
            return
        key = generator.choice(keys)
        if isinstance(value[key], dict | list) and generator.random() < 0.75:
            value = value[key]
            continue
        chance = generator.random()
        if chance < 0.2:
            del value[key]
        elif chance < 0.3 and isinstance(value, dict):
            value["more"] = value[key]
        else:
            value[key] = generator.choice(
                (None, -1, 2**70, 1e308, float("nan"), "", "x" * 9000, [], {}, [[]], True, "\0")
            )
        return


def _recorded(meta: str, times: int) -> bytes:
    """A recording that says something of its rows, and has these some times."""
    table = pa.concat_tables([_sample()[0]] * times) if times else _sample()[0].slice(0, 0)
    table = table.replace_schema_metadata({_META: meta.encode("utf-8", "surrogatepass")})
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _flipped(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 3, 10))):
        ends = generator.choice((range(min(300, len(changed))), range(len(changed)),
                                 range(max(len(changed) - 400, 0), len(changed))))  # fmt: skip
        changed[generator.choice(ends)] = generator.choice((0, 1, 255, generator.randrange(256)))
    return bytes(
        changed[: len(changed) if generator.random() < 0.9 else generator.randrange(len(changed))]
    )
