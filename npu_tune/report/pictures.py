"""Matplotlib figures, made and written the same way everywhere. Needs the extra ``report``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import MissingExtraError, UsageError
from npu_tune.files import storage_errors, whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

WRITABLE = "Give a path in a folder that exists and can be written to."


def new_figure(*, width: float, height: float) -> Figure:
    """An empty figure that no window and no global state of matplotlib knows.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            "Plots need matplotlib, which is not installed.",
            remedy="Install it with `pip install 'npu-tune[report]'`.",
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def picture(path: Path, *, width: float, height: float, about: str = "") -> Iterator[Figure]:
    """A figure to draw into, which is then written; the same drawing gives the same bytes.

    Args:
        path: of the file; its ending names the format.
        width: in inches.
        height: in inches.
        about: a text that the file holds for whoever asks where it comes from.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the file's ending names no picture format.
        StorageError: if the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"A plot cannot be written as {path.name!r}.",
            remedy=f"Give a file that ends in {', '.join(FORMATS)}.",
        )
    figure = new_figure(width=width, height=height)
    from matplotlib import rc_context  # noqa: PLC0415 - an extra

    with rc_context({"svg.hashsalt": "npu-tune", "svg.fonttype": "path"}):
        yield figure
        # A date or a version in the file would make equal pictures differ.
        suffix = path.suffix.lower()
        stamp = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}[suffix]
        remark = "Subject" if suffix == ".pdf" else "Description"
        metadata = {stamp: None} | ({remark: about} if about else {})
        with (
            storage_errors("The plot", path, remedy=WRITABLE),
            whole_file(path) as partial,
        ):
            figure.savefig(partial, format=suffix[1:], dpi=120, metadata=metadata)
