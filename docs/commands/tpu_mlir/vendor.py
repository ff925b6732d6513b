"""The vendor's tools, run one by one as its own ``model_deploy`` runs them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAST_LINES = 3
_SILENT = re.compile(r"#\d+ 0x|\S+\(\S*\+0x|\[[# ]*\]|PLEASE submit|Stack dump|\d+\.\s|Aborted")


class VendorError(Exception):
    """A tool of the vendor has failed; with its last lines."""


class SetupError(Exception):
    """The vendor's compiler is not where it should be."""


class Vendor:
    """An environment that ``setup.sh`` has made.

    Args:
        home: its folder.

    Raises:
        SetupError: if there is no such compiler.
    """

    def __init__(self, home: str) -> None:
        found = sorted(Path(home).glob("lib/python3*/site-packages/tpu_mlir")) if home else []
        if not found:
            raise SetupError(
                f"There is no TPU-MLIR in {home!r}. Run setup.sh FOLDER and set TPU_MLIR_HOME."
            )
        self.python = f"{home}/bin/python"
        self._root = root = found[0]
        self._environment = {
            **os.environ,
            "TPUC_ROOT": root,
            "PATH": f"{root}/bin:{home}/bin:{os.environ.get('PATH', '')}",
            "PYTHONPATH": f"{root}:{root}/python:{root}/customlayer/python",
            "LD_LIBRARY_PATH": f"{root}/lib:{root}/lib/capi:{root}/lib/third_party",
            "OMP_NUM_THREADS": "1",
        }

    @property
    def version(self) -> str:
        """Of the compiler, as it is installed."""
        found = sorted(Path(self._root).parent.glob("tpu_mlir-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").replace("_", "-", 1)

    def run(self, words: Sequence[str], folder: Path) -> str:
        """Runs a tool and returns what it prints.

        Raises:
            VendorError: if it fails.
        """
        ended = subprocess.run(
            words,
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if ended.returncode:
            tool = Path(words[1] if words[0] == self.python else words[0]).name
            raise VendorError(f"{tool} ended with {ended.returncode}: {last_lines(ended.stdout)}")
        return ended.stdout

    def opt(self, source: str, options: Sequence[str], target: str, folder: Path) -> str:
        """Runs passes of the compiler on an MLIR file."""
        binary = f"{self._root}/bin/tpuc-opt"
        return self.run([binary, source, *options, "-o", target], folder)

    def script(self, name: str, words: Sequence[str], folder: Path) -> str:
        """Runs one of the vendor's Python tools."""
        return self.run([self.python, f"{self._root}/python/tools/{name}.py", *words], folder)

    def inside(self, words: Sequence[str], folder: Path) -> dict:
        """Runs ``inside.py`` in the vendor's Python and reads what it prints last."""
        said = self.run([self.python, str(HERE / "inside.py"), *words], folder)
        return json.loads(said.strip().rpartition("\n")[2])

    def info(self, model: str, folder: Path) -> str:
        """What the vendor says about a compiled model."""
        return self.run([f"{self._root}/bin/model_tool", "--info", model], folder)


def last_lines(said: str) -> str:
    """What a tool has said last, its stack of calls and its bars of progress left out."""
    lines = [line.strip() for line in said.replace("\r", "\n").splitlines()]
    telling = [x for x in lines if x and not _SILENT.match(x)]
    return " | ".join(telling[-LAST_LINES:])[-600:]


def prepare(vendor: Vendor, model: Path, calibration: str | None) -> Path:
    """A folder with the network in the vendor's form, its calibration table and samples.

    It lies beside the model and is made once, by whichever evaluation comes first.

    Args:
        vendor: whose tools do it.
        model: an ONNX file.
        calibration: an .npz of typical inputs; seeded ones are used if None.
    """
    ready = model.parent / f"tpu_mlir-{_digest(model)}"
    if ready.is_dir():
        return ready
    made = Path(tempfile.mkdtemp(prefix="tpu_mlir-making-", dir=model.parent))
    try:
        words = ["samples", str(model), calibration or "", str(made)]
        about = vendor.inside(words, made)
        shapes = json.dumps(about["shapes"])
        words = ["--model_name", "model", "--model_def", str(model), "--mlir", "model.mlir"]
        vendor.script("model_transform", [*words, "--input_shapes", shapes], made)
        words = ["model.mlir", "--dataset", "calibrate", "--input_num", str(about["samples"])]
        vendor.script("run_calibration", [*words, "-o", "calibration"], made)
        (made / "noise").mkdir()
        made.rename(ready)
    except OSError:
        if not ready.is_dir():  # else another evaluation was faster
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return ready


def noise(vendor: Vendor, ready: Path, table: Mapping[str, str], mlir: str, folder: Path) -> float:
    """Signal to noise of a lowered network in dB, simulated by the vendor, kept by its table."""
    key = hashlib.sha256(json.dumps(sorted(table.items())).encode()).hexdigest()[:32]
    kept = ready / "noise" / f"{key}.json"
    if kept.is_file():
        return json.loads(kept.read_text())["snr_db"]
    found = vendor.inside(["noise", mlir, str(ready)], folder)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
        json.dump(found, file)
    Path(file.name).replace(kept)
    return found["snr_db"]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def complain(error: Exception, failure: str) -> None:
    """Prints an answer that says why there are no metrics."""
    print(json.dumps({"failure": failure, "message": str(error)}))
    sys.stdout.flush()
