"""Condition monitoring of a rolling bearing, from made recordings to three devices.

    python studies/industrial/industrial.py --out runs/industrial

makes recordings by a physical model, trains a network on them, tunes it for an Ethos-U, an STM32N6
and this machine's CPU under one limit of accuracy and one of memory, exports what was found, and
writes the customer's table. Everything of it is in the folder; `result.json` has every number.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

if find_spec("jax") is None or find_spec("optax") is None:
    sys.exit("error: The network is trained with JAX and Optax. Run: pip install '.[industrial]'")

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from classifier import NETWORKS, Architecture, Parameters  # noqa: E402 - they are found by the line above
from customer import Judged, Row, files_table, likely_range, row_of, summary, table  # noqa: E402
from deployed import accuracy, int8_decisions, interfaces, onnx_decisions  # noqa: E402
from devices import DEVICES, Inputs, Limits, Tuned, tune_device  # noqa: E402
from float_onnx import difference_from_jax, float_onnx  # noqa: E402
from recordings import PARTS, Recordings, make_recordings, save_inputs  # noqa: E402
from training import TrainingSettings, predicted_logits, train  # noqa: E402
from vibration import CLASSES  # noqa: E402

from npu_tune.errors import NpuTuneError  # noqa: E402
from npu_tune.network import load_calibration, read_network  # noqa: E402
from npu_tune.network.quantize import Conversion, convert  # noqa: E402

CALIBRATING = 2
"""Machines of the part `tuning` whose recordings set the ranges of int8; the others' are labelled
samples for the limit of accuracy."""


@dataclass(frozen=True)
class Plan:
    """How much of everything there is.

    Args:
        machines: by part of :data:`recordings.PARTS`.
        each: recordings of every machine in every class, by part.
        training: of the network.
        architecture: of the network.
        evaluations: of every device; None for each device's own.
        limits: the customer's.
        seed: of everything.
    """

    machines: tuple[int, int, int] = (32, 8, 12)
    each: tuple[int, int, int] = (20, 12, 25)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    architecture: Architecture = field(default_factory=Architecture)
    evaluations: int | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0


def run(plan: Plan, out: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    """The whole, into a folder; returns what `result.json` holds.

    Raises:
        NpuTuneError: if the network or its data do not fit a target.
    """
    out.mkdir(parents=True, exist_ok=True)
    clock = _Clock(say)
    parts = [
        make_recordings(part, machines=machines, each=each, seed=plan.seed)
        for part, machines, each in zip(PARTS, plan.machines, plan.each, strict=True)
    ]
    clock.done("recordings")
    given, tuning, test = parts
    parameters = train(
        given,
        architecture=plan.architecture,
        settings=plan.training,
        seed=plan.seed,
        say=say,
    )
    clock.done("training")
    inputs, conversion, network = _networks(plan, parameters, tuning, out)
    clock.done("float ONNX and int8 TFLite")
    of_float = predicted_logits(plan.architecture, parameters, test.images).argmax(axis=1)
    of_int8 = int8_decisions(conversion, test)
    rows: list[Row] = []
    for device in DEVICES:
        tuned = tune_device(device, inputs, plan.limits, out, evaluations=plan.evaluations)
        judged = _judged(tuned, conversion, test, of_float=of_float, of_int8=of_int8)
        rows.append(row_of(tuned, judged, plan.limits))
        clock.done(device.folder)
    result = {
        "plan": asdict(plan),
        "recordings": {part: len(r.labels) for part, r in zip(PARTS, parts, strict=True)},
        "network": network,
        "test": _test(of_float, of_int8, test),
        "devices": [row.to_dict() for row in rows],
        "seconds": clock.seconds,
    }
    result = json.loads(json.dumps(result))
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(tables(result) + "\n", encoding="utf-8")
    return result


class _Clock:
    """Seconds of every step, and of all."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._say = say
        self._first = self._last = time.perf_counter()

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = round(now - self._last, 1)
        self.seconds["all"] = round(now - self._first, 1)
        self._last = now
        self._say(f"{step}: {self.seconds[step]:.0f} s")


def _networks(
    plan: Plan, parameters: Parameters, tuning: Recordings, out: Path
) -> tuple[Inputs, Conversion, dict[str, Any]]:
    """Writes the network in both forms and the data that targets read."""
    model = float_onnx(plan.architecture, parameters)
    difference = difference_from_jax(model, plan.architecture, parameters, tuning.images)
    inputs = Inputs(
        float_model=out / "bearing.onnx",
        int8_model=out / "bearing.tflite",
        calibration=save_inputs(
            out / "calibration.npz", tuning.only(tuning.machines < CALIBRATING), labelled=False
        ),
        labelled=save_inputs(
            out / "labelled.npz", tuning.only(tuning.machines >= CALIBRATING), labelled=True
        ),
    )
    onnx.save(model, inputs.float_model)
    network = read_network(inputs.float_model)
    conversion = convert(network, calibration=load_calibration(inputs.calibration, network))
    inputs.int8_model.write_bytes(conversion.model_bytes)
    check = conversion.check
    about = {
        "convolutions": len(plan.architecture.convolutions),
        "parameters": int(sum(np.size(value) for value in parameters.values())),
        "float_bytes": inputs.float_model.stat().st_size,
        "int8_bytes": inputs.int8_model.stat().st_size,
        "onnx_from_jax": difference,
        "int8_decibels": None if check is None else round(check.worst.decibels, 1),
    }
    return inputs, conversion, about


def _judged(
    tuned: Tuned, conversion: Conversion, test: Recordings, *, of_float: Any, of_int8: Any
) -> Judged:
    """Accuracy of what was exported for a device."""
    file = tuned.artifact.files["model"]
    decisions, by = of_int8, "the int8 file before compilation, in LiteRT on this machine"
    if tuned.device.is_measured:
        level = str(tuned.chosen.configuration["network/optimization"])
        decisions = onnx_decisions(file, test, level)
        by = "the exported file, in onnxruntime on this machine"
    elif tuned.device.is_float:
        found = onnx_decisions(file, test)
        _require(np.array_equal(found, of_float), file, "decides otherwise")
    elif file.suffix == ".tflite":
        found = interfaces(file.read_bytes())
        is_kept = found == interfaces(conversion.model_bytes)
        _require(is_kept, file, "has other inputs or outputs")
    return Judged(
        of_float=accuracy(of_float, test),
        of_deployed=accuracy(decisions, test),
        by=by,
        changed=int(np.sum(decisions != of_float)),
    )


def _require(is_so: bool, file: Path, otherwise: str) -> None:
    if not is_so:
        raise RuntimeError(f"{file.name} {otherwise} than the network it was made of.")


def _test(of_float: Any, of_int8: Any, test: Recordings) -> dict[str, Any]:
    """What the two networks say of the test recordings, class by class and machine by machine."""

    def confusion(decisions: Any) -> list[list[int]]:
        return [
            [int(np.sum((test.labels == label) & (decisions == said))) for said in range(4)]
            for label in range(len(CLASSES))
        ]

    machines = [test.machines == number for number in range(int(test.machines.max()) + 1)]
    share = accuracy(of_float, test)
    return {
        "classes": CLASSES,
        "float": confusion(of_float),
        "int8": confusion(of_int8),
        "float_interval": likely_range(share, len(test.labels)),
        "float_by_machine": [accuracy(of_float[at], test.only(at)) for at in machines],
    }


def tables(result: dict[str, Any]) -> str:
    """What a page says of a result."""
    rows = result["devices"]
    return "\n\n".join([table(rows), summary(result), files_table(rows)])


def with_tables(page: str, name: str, result: dict[str, Any]) -> str:
    """A page with what it says of a network made of a result."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}{tables(result)}\n{end}{tail}"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/industrial"), help="a new folder")
    parser.add_argument("--network", choices=NETWORKS, default="narrow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--accuracy-loss", type=float, default=Limits.accuracy_loss, help="0.01 for a point"
    )
    parser.add_argument(
        "--memory-share", type=float, default=Limits.memory_share, help="of the default's memory"
    )
    parser.add_argument(
        "--record", action="store_true", help="keep the result beside this file, and in its page"
    )
    asked = parser.parse_args(given)
    try:
        limits = Limits(asked.accuracy_loss, asked.memory_share)
        plan = Plan(architecture=NETWORKS[asked.network], limits=limits, seed=asked.seed)
        result = run(plan, asked.out)
    except NpuTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(tables(result))
    print(f"Everything is in {asked.out}.")
    if asked.record:
        page = FOLDER / "README.md"
        text = json.dumps(result, indent=2) + "\n"
        (FOLDER / f"{asked.network}.json").write_text(text, encoding="utf-8")
        fresh = with_tables(page.read_text(encoding="utf-8"), asked.network, result)
        page.write_text(fresh, encoding="utf-8")
    missed = [row["device"] for row in result["devices"] if not all(row["limits_met"].values())]
    return 6 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
