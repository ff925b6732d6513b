"""Gives hostile files to what reads them, each in a process of its own with limits, watched.

    python tests/support/hostile_runs.py FOLDER KIND FIRST LAST [KIND FIRST LAST ...]

prints one line of JSON per file: its number, how it ended and what was said.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_archives
import hostile_graphs
import hostile_texts
import hostile_tflite
import numpy as np

from npu_tune.compare.file.load import comparison_to_toml, load_comparison
from npu_tune.compare.runs.recording import read_recording
from npu_tune.errors import NpuTuneError, TargetError
from npu_tune.network import load_calibration, load_network, network_from_bytes, read_network
from npu_tune.network.quantize import convert
from npu_tune.network.quantize.archive import read_arrays
from npu_tune.network.rewrite import rewrite_file
from npu_tune.network.rewrite.plan import read_plan
from npu_tune.network.tflite.annotate import annotate_tflite
from npu_tune.targets import load_target
from npu_tune.targets.command.settings import CommandTable
from npu_tune.targets.measured.folding import float_graph
from npu_tune.tuning.problems import open_problem
from npu_tune.tuning.study_file import load_study_file, study_file_to_toml
from npu_tune.validation import read_toml, validated

MOST_BYTES = 2_000_000_000
"""Of addresses, those of the libraries included."""
MOST_SECONDS = 10
"""Of computing. What only waits is ended after six times as much."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    f"os.{name}" for name in ("mkdir", "remove", "rename", "rmdir", "symlink", "link", "truncate")
)
_IMPORTED = (
    "ai_edge_litert.interpreter",
    "onnx.checker",
    "onnx.shape_inference",
    "onnxruntime",
    "npu_tune.compare.file.load",
    "npu_tune.compare.runs.recording",
    "npu_tune.network.quantize.check",
    "npu_tune.network.rewrite",
    "npu_tune.targets.measured.folding",
    "npu_tune.tuning.study_file",
)
_RUNS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
                   "socket.connect", "pickle.find_class"})  # fmt: skip


def tune_tflite(file: Path, number: int) -> None:
    """Reads, binds and evaluates, on one target or the other, and annotates."""
    network = read_network(file)
    name = "ethos-u55-128" if number % 8 == 0 else "neural-art-stm32n6"
    with load_target(name, {"allow_cpu": True} if number % 8 == 0 else {}).bind(
        network
    ) as problem:
        problem.evaluate(problem.space.default)
    annotate_tflite(network.model_bytes, metadata={"a": "b"}, operators={0: " more"})


def tune_onnx(file: Path, number: int) -> None:
    """Reads, and imports, converts, folds or rewrites."""
    network = read_network(file)
    use = number % 4
    if use == 0:
        with load_target("neural-art-stm32n6").bind(network) as problem:
            problem.evaluate(problem.space.default)
    elif use == 1:
        convert(network, samples=1, check=number % 8 == 1)
    elif use == 2:
        float_graph(network)
    else:
        plan = file.parent / "plan.json"
        plan.write_text(
            '{"version": 1, "splits": [{"layer": "a", "over": "kernels", "parts": 2}]}'
        )
        rewrite_file(str(file), plan, file.parent / "rewritten.onnx", force=True)


def calibrate(file: Path, number: int) -> None:
    """Reads typical inputs."""
    if number % 3 == 0:
        read_arrays(file)
        return
    model = hostile_graphs.model_of("classifier").SerializeToString()
    load_calibration(file, network_from_bytes(model, "onnx", "classifier"))


def open_study(file: Path, number: int) -> None:
    """Reads a study and opens its problem."""
    study = load_study_file(file)
    study_file_to_toml(study)
    target = load_target(study.target.name, study.target.options)
    open_problem(study.model, target).close()


def open_comparison(file: Path, number: int) -> None:
    """Reads a comparison."""
    comparison = load_comparison(file)
    comparison_to_toml(comparison)
    _ = comparison.planned, comparison.checkpoints


def open_hardware(file: Path, number: int) -> None:
    """Reads hardware, and evaluates a network on it."""
    target = load_target("neural-art-custom", {"hardware_file": str(file)})
    with target.bind(load_network("ds-cnn")) as problem:
        problem.evaluate(problem.space.default)


def open_command(file: Path, number: int) -> None:
    """Reads a command file; it names programs, so that making its target may run one."""
    table = read_toml(file, whole="command file", kind=TargetError)
    validated(CommandTable, table, source=str(file), whole="command file", kind=TargetError)


def open_plan(file: Path, number: int) -> None:
    """Reads what is to be rewritten."""
    read_plan(file)


def open_ini(file: Path, number: int) -> None:
    """Reads a system of Vela, and evaluates a network on it."""
    target = load_target("ethos-u55-128", {"config": str(file)})
    with target.bind(load_network("ds-cnn")) as problem:
        problem.evaluate(problem.space.default)


def open_recording(file: Path, number: int) -> None:
    """Reads a recording and works out its tables."""
    read_recording(file)


def _either(one: Callable[..., bytes], *others: Callable[..., bytes]) -> Callable[..., bytes]:
    return lambda generator: generator.choice((one, *others))(generator)


def _text(kind: str) -> Callable[..., bytes]:
    return lambda generator: hostile_texts.damaged(kind, generator)


KINDS: dict[str, tuple[str, Callable[..., bytes], Callable[[Path, int], None]]] = {
    "tflite": ("model.tflite", hostile_tflite.damaged, tune_tflite),
    "tflite bombs": ("model.tflite", hostile_tflite.bomb, tune_tflite),
    "onnx": (
        "model.onnx", _either(hostile_graphs.damaged, hostile_graphs.contradictory), tune_onnx,
    ),
    "onnx bombs": ("model.onnx", hostile_graphs.bomb, tune_onnx),
    "npz": ("data.npz", hostile_archives.npz, calibrate),
    "study": ("study.toml", _text("study"), open_study),
    "comparison": ("comparison.toml", _text("comparison"), open_comparison),
    "hardware": ("hardware.toml", _text("hardware"), open_hardware),
    "command": ("command.toml", _text("command"), open_command),
    "plan": ("plan.json", _text("plan"), open_plan),
    "ini": ("system.ini", _text("ini"), open_ini),
    "recording": ("results.parquet", hostile_archives.recording, open_recording),
}  # fmt: skip
"""By kind: the file's name, what makes its content, and what it is given to."""


def content_of(kind: str, number: int) -> bytes:
    """The content of a file, the same for the same number."""
    np.random.seed(number)  # noqa: NPY002 - whatever draws by it draws the same
    return KINDS[kind][1](random.Random(f"{kind} {number}"))


def run_one(kind: str, number: int, folder: Path) -> dict[str, Any]:
    """Gives one file to what reads it, in a fork of this process.

    Returns:
        How it ended: ``read``, ``refused``, ``traceback``, ``crash``, ``hang``, ``memory`` or
        ``outside``, with what was said.
    """
    inside = folder / "inside"
    shutil.rmtree(folder, ignore_errors=True)
    inside.mkdir(parents=True)
    hostile_graphs.furnish(inside)
    file = inside / KINDS[kind][0]
    file.write_bytes(content_of(kind, number))
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(kind, number, file, writing)
    os.close(writing)
    said = _said(reading, child, 6 * MOST_SECONDS)
    _, status, usage = os.wait4(child, 0)
    found: dict[str, Any] = {
        "kind": kind, "number": number, "seconds": round(time.monotonic() - started, 2),
        "computing_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": usage.ru_maxrss // 1000, **said,
    }  # fmt: skip
    if "how" not in said:
        ended = os.waitstatus_to_exitcode(status)
        late = ended in (-signal.SIGXCPU, -signal.SIGKILL)
        found |= {"how": "hang" if late else "crash", "said": f"exit status {ended}"}
    left = sorted({each.name for each in folder.iterdir()} - {"inside", hostile_graphs.SECRET})
    if left:
        found |= {"how": "outside", "said": f"left {left}"}
    return found


def _said(reading: int, child: int, patience_s: float) -> dict[str, Any]:
    content, deadline = b"", time.monotonic() + patience_s
    with open(reading, "rb", buffering=0) as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                os.kill(child, signal.SIGKILL)
                return {}
            part = stream.read(65536)
            if not part:
                break
            content += part
    return json.loads(content) if content else {}


def _be_the_child(kind: str, number: int, file: Path, writing: int) -> None:
    said: dict[str, Any] = {}
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        os.chdir(file.parent)
        tempfile.tempdir = str(file.parent)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        warnings.simplefilter("ignore")
        seen = _watch(file.parent)
        said = _outcome(lambda: KINDS[kind][2](file, number))
        if seen:
            said = {"how": "outside", "said": "; ".join(seen[:3])}
    except BaseException as error:  # noqa: BLE001
        said = {"how": "traceback", "said": f"{error!r:.300}"}
    finally:
        os.write(writing, json.dumps(said).encode())
        os._exit(0)


def _outcome(use: Callable[[], None]) -> dict[str, Any]:
    try:
        use()
    except NpuTuneError as error:
        text = str(error)
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return {"how": "memory", "said": text[:300]}
            cause = cause.__cause__
        clear = error.exit_code > 1 and error.message and error.remedy and len(text) <= 4001
        if not clear or "\n" in error.message or "\x1b" in text:
            return {"how": "traceback", "said": f"not clear: {text[:300]!r}"}
        return {"how": "refused", "said": text[:200], "code": error.exit_code}
    except MemoryError as error:
        return {"how": "memory", "said": f"{error!r:.200}", "where": _where(error)}
    except BaseException as error:  # noqa: BLE001
        return {"how": "traceback", "said": f"{error!r:.300}", "where": _where(error)}
    return {"how": "read", "said": ""}


def _where(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]


def _watch(inside: Path) -> list[str]:
    """Notes from now on what is opened, changed or started that is not the file's own."""
    seen: list[str] = []
    home, secret = (
        os.path.realpath(inside),
        os.path.realpath(inside.parent / hostile_graphs.SECRET),
    )

    def is_outside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return not (real + os.sep).startswith((home + os.sep, os.devnull))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and (
                os.path.realpath(os.fsdecode(path)) in (secret, "/etc/passwd")
                or ((flags or 0) & _WRITING and is_outside(path))
            ):
                seen.append(f"opened {os.fsdecode(path)!r}")
        elif (
            event in _CHANGES and any(is_outside(each) for each in arguments[:2])
        ) or event in _RUNS:
            seen.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(hook)
    return seen


def main() -> None:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    warnings.simplefilter("ignore")
    _import_all()
    for kind, first, last in zip(words[::3], words[1::3], words[2::3], strict=True):
        for number in range(int(first), int(last)):
            sys.stdout.write(json.dumps(run_one(kind, number, folder.resolve())) + "\n")
            sys.stdout.flush()


def _import_all() -> None:
    """Imports once what every file would need."""
    for module in _IMPORTED:
        importlib.import_module(module)
    for name in ("neural-art-stm32n6", "ethos-u55-128"):
        with load_target(name).bind(load_network("ds-cnn")) as problem:
            problem.evaluate(problem.space.default)


if __name__ == "__main__":
    main()
