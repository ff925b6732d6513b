"""Executes notebooks again, each from a clean kernel, and keeps what they show.

    python notebooks/execute.py                          # all of them
    python notebooks/execute.py 01_first_tuning.ipynb    # some

A notebook runs in a temporary folder beside a link to studies/, as it does where it lies, and leaves
nothing behind. What differs from run to run without meaning anything (times, versions, the kernel's
messages) is left out, so that a change of a notebook is what its diff shows. Needs the extra
`notebooks`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent

REPRODUCIBLE = "reproducible"
"""Tag of a cell that shows the same on every machine."""

CELL_TIMEOUT_S = 600
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebooks() -> list[Path]:
    """All notebooks, in their order."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook as it is stored."""
    return nbformat.read(path, as_version=4)


def execute(path: Path) -> NotebookNode:
    """A notebook with the outputs of a new run; the file stays as it is.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell ends with an error.
    """
    book = read(path)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with TemporaryDirectory(prefix="book-") as scratch:
        here = Path(scratch) / FOLDER.name
        here.mkdir()
        (Path(scratch) / "studies").symlink_to(ROOT / "studies")
        client = NotebookClient(
            book,
            km=_kernel_of_this_interpreter(Path(scratch)),
            timeout=CELL_TIMEOUT_S,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(here)}},
        )
        client.execute(env=_environment(Path(scratch)), cleanup_kc=True)
    return _without_what_varies(book)


def texts(cell: NotebookNode) -> list[str]:
    """What a cell shows as text, output by output."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append(output.text)
        elif "data" in output:
            shown.append(output.data.get("text/plain", ""))
    return shown


def pictures(book: NotebookNode) -> list[str]:
    """The pictures of a notebook, PNG in Base64."""
    outputs = [each for cell in book.cells for each in cell.get("outputs", ())]
    return [each.data["image/png"] for each in outputs if "image/png" in each.get("data", {})]


def _kernel_of_this_interpreter(scratch: Path) -> AsyncKernelManager:
    """Of whatever kernels somebody has installed it knows none, and it is reached by no network."""
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        connection_file=str(scratch / "kernel.json"),
        transport="ipc",
        ip=str(scratch / "kernel"),
    )


def _environment(scratch: Path) -> dict[str, str]:
    """That of this process; nothing is read from or written to the user's own settings."""
    return {
        **os.environ,
        "NPU_TUNE_CACHE": "",  # what the user's other studies have evaluated is evaluated again
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "IPYTHONDIR": str(scratch / "ipython"),
        # Of tqdm, where there are no widgets; nothing here shows a bar.
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }


def _without_what_varies(book: NotebookNode) -> NotebookNode:
    book.metadata = nbformat.from_dict(METADATA)
    for cell in book.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags"})
        for output in cell.get("outputs", ()):
            output.pop("metadata", None)
            if output.output_type in ("display_data", "execute_result"):
                output.metadata = {}
    return book


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="of notebooks; all if none is named")
    asked = parser.parse_args(given)
    for path in [FOLDER / Path(name).name for name in asked.names] or notebooks():
        began = time.perf_counter()
        nbformat.write(execute(path), path)
        print(f"{path.name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
