"""The published figures that the model is held against, and the model's figures for the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npu_tune.errors import StorageError, UsageError
from npu_tune.network.zoo import ZOO, is_zoo_name, zoo_hint
from npu_tune.targets.neural_art.graph import CORE_3_0, CORE_4_0

DATA = Path(__file__).parent / "data"
PUBLISHED = DATA / "published_stm32n6.csv"
SECOND = DATA / "published_stm32n6_second.csv"
"""Rows on which the model was far off once; nothing is fitted to them."""
EPOCHS = DATA / "compiler_epochs_core3_mobilenetv2.csv"

KIB = 1024
OLDEST_CORE = (3,)
"""Core 2 stores depthwise kernels in eightfold size, among other things."""
EFFICIENTNET_CORE = (4,)
"""From Core 3.0 to 4.0 networks with squeeze-and-excite, of which EfficientNet is the one in the first
table, take nearly half the time and RAM, and nothing else does."""
EFFICIENTNET = "EfficientNet v2"
BEFORE_CORE_4 = "EfficientNet before Core 4"

_NEEDED = ("format", "core_version", "inference_ms", "zoo_name")
_MORE = (
    "row",
    "model",
    "variant",
    "dataset",
    "resolution",
    "w4_percent",
    "internal_ram_kib",
    "external_ram_kib",
    "weights_flash_kib",
    "relabelled",
    "oddity",
)
_FAMILIES = {
    "mobilenet-v1": "MobileNet v1",
    "mobilenet-v2": "MobileNet v2",
    "fd-mobilenet": "FD-MobileNet",
    "st-fd-mobilenet": "ST FD-MobileNet",
    "efficientnet-v2-b0": EFFICIENTNET,
    "squeezenet": "SqueezeNet",
    "squeezenet-v1.0": "SqueezeNet",
    "squeezenext": "SqueezeNext",
    "resnet50-v2": "ResNet v2",
    "mnasnet-a1": "MnasNet",
}
_MODEL_FILES = (".onnx", ".tflite")


@dataclass(frozen=True)
class PublishedRow:
    """One row of a table of published figures; what is not stated is None.

    Args:
        label: number of the row, or its place in the file.
        network: a built-in network's name, or the path of a model file.
        family: what the network belongs to.
        format: ``int8``, or one that says that some weights have 4 bits.
        core: version of the vendor's compiler.
        latency_ms: one inference.
        ram_kib: on the chip.
        flash_kib: of weights.
        external_ram_kib: 0 where none is used.
        four_bits: share of the weights that has 4 bits.
        repeats: the row that this one repeats under a newer version; empty where it does not.
        oddity: what is doubtful about the row.
    """

    label: str
    network: str
    family: str
    format: str
    core: tuple[int, ...]
    latency_ms: float
    ram_kib: float | None
    flash_kib: float | None
    external_ram_kib: float
    four_bits: float
    repeats: str
    oddity: str

    @property
    def total_ram_kib(self) -> float | None:
        """On the chip and outside."""
        return None if self.ram_kib is None else self.ram_kib + self.external_ram_kib

    @property
    def core_text(self) -> str:
        return ".".join(str(part) for part in self.core)

    @property
    def compiler(self) -> str:
        """The version that the model compiles as."""
        return CORE_4_0 if self.core >= EFFICIENTNET_CORE else CORE_3_0

    @property
    def out_of_scope(self) -> str:
        """Why the row is not among those that constants are fitted to; empty where it is."""
        if self.core < OLDEST_CORE:
            return f"Core {self.core[0]}"
        if self.family == EFFICIENTNET and self.core < EFFICIENTNET_CORE:
            return BEFORE_CORE_4
        if self.format != "int8":
            return "weights of 4 bits"
        if self.external_ram_kib:
            return "external RAM"
        if self.repeats:
            return "repeats another row"
        if self.oddity:
            return "doubtful row"
        return ""


def admitted(rows: Iterable[PublishedRow]) -> list[PublishedRow]:
    """Rows that are independent, beyond doubt and within what is modelled."""
    return [row for row in rows if not row.out_of_scope]


def read_published(path: Path = PUBLISHED) -> list[PublishedRow]:
    """Reads a table of published figures.

    Args:
        path: CSV with the columns that data/README.md describes; a model file in ``zoo_name``
            counts from the table's own folder.

    Raises:
        StorageError: if the file cannot be read.
        UsageError: if a column is unknown or missing, or a value cannot be; names both.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"The table {str(path)!r} cannot be read: {getattr(error, 'strerror', error)}.",
            remedy="Give the path of a CSV file.",
        ) from error
    _check_columns(path, columns)
    if not rows:
        raise UsageError(f"The table {str(path)!r} has no rows.", remedy="Give one that has.")
    return [_row(path, number, row) for number, row in enumerate(rows, start=1)]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    known = (
        f"The columns are {', '.join((*_NEEDED, *_MORE))}; the first {len(_NEEDED)} are needed."
    )
    for column in columns:
        if column not in _NEEDED + _MORE:
            raise UsageError(f"{path.name} has an unknown column {column!r}.", remedy=known)
    for column in _NEEDED:
        if column not in columns:
            raise UsageError(f"{path.name} has no column {column!r}.", remedy=known)


def _row(path: Path, number: int, row: dict[str, str | None]) -> PublishedRow:
    where = f"row {row.get('row') or number} of {path.name}"
    if None in row:
        raise UsageError(
            f"There are more values than there are columns in {where}.",
            remedy="Put text with commas into quotes.",
        )
    text = {name: (value or "").strip() for name, value in row.items()}
    latency = _number(text, "inference_ms", where)
    if not latency or not text["format"]:
        column = "format" if latency else "inference_ms"
        raise UsageError(f"There is no {column} in {where}.", remedy="Fill it in.")
    try:
        core = tuple(int(part) for part in text["core_version"].split("."))
    except ValueError:
        raise UsageError(
            f"The core_version in {where} is {text['core_version']!r}.",
            remedy="Give numbers with dots between, such as 4.0.0.",
        ) from None
    network = _network(path, text["zoo_name"], where)
    return PublishedRow(
        label=text.get("row") or str(number),
        network=network,
        family=_family(network, text.get("model", "")),
        format=text["format"],
        core=core,
        latency_ms=latency,
        ram_kib=_number(text, "internal_ram_kib", where),
        flash_kib=_number(text, "weights_flash_kib", where),
        external_ram_kib=_number(text, "external_ram_kib", where) or 0.0,
        four_bits=(_number(text, "w4_percent", where) or 0.0) / 100,
        repeats=text.get("relabelled", ""),
        oddity=text.get("oddity", ""),
    )


def _number(text: dict[str, str], column: str, where: str) -> float | None:
    given = text.get(column, "")
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(
            f"The {column} in {where} is {given!r}.", remedy="Give a number, 0 or above."
        )
    return value


def _network(path: Path, name: str, where: str) -> str:
    if is_zoo_name(name):
        return name
    file = path.parent / name
    if Path(name).suffix.lower() in _MODEL_FILES and file.is_file():
        return str(file)
    raise UsageError(
        f"The zoo_name in {where} is {name!r}, which is neither a built-in network nor a model "
        "file beside the table.",
        remedy=zoo_hint(),
    )


def _family(network: str, model: str) -> str:
    longest_first = sorted(ZOO, key=len, reverse=True)
    for name in longest_first if is_zoo_name(network) else ():
        if network.startswith(name):
            return _FAMILIES.get(name, name)
    return model or Path(network).stem


@dataclass(frozen=True)
class Errors:
    """Absolute relative errors of one quantity.

    Args:
        count: of figures compared.
        median: of the absolute errors, 0.05 for 5 %.
        p90: the 90th percentile.
        worst: the largest.
    """

    count: int
    median: float
    p90: float
    worst: float

    @classmethod
    def of(cls, errors: Iterable[float]) -> Errors:
        """Sums up signed relative errors; at least one is needed."""
        sizes = np.abs(list(errors))
        return cls(
            len(sizes),
            float(np.median(sizes)),
            float(np.percentile(sizes, 90)),
            float(sizes.max()),
        )
