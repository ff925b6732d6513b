r"""Whether what a study has found holds: by the vendor's own command, and on other samples.

    npu-tune tune resnet8 --target command --command docs/commands/tpu_mlir/tpu_mlir.toml \
        --evaluations 150 --limit "snr_db >= 30" --study runs/resnet8
    python studies/tpu-mlir/check.py resnet8 runs/resnet8

The best configuration is compiled by the vendor's `model_deploy`, and its signal to noise is
simulated on 64 samples that neither set its ranges nor were seen in the search.
Needs TPU_MLIR_HOME.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from vendor_settings import COMMAND

sys.path.insert(0, str(COMMAND.parent))

from adapter import evaluate
from vendor import Vendor

import npu_tune
from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.space import Configuration

UNSEEN = 64


def request_of(network: Network, model: Path, configuration: Configuration) -> dict:
    """What the adapter is asked."""
    values: dict[str, dict] = {}
    for name, value in configuration.items():
        layer, _, knob = name.rpartition("/")
        values.setdefault(layer, {})[knob] = value
    layers = [
        {
            "name": each.name,
            "operator": each.op,
            "inputs": each.inputs,
            "outputs": each.outputs,
            "knobs": values.get(each.name, {}),
        }
        for each in network.layers
    ]
    return {
        "model": str(model),
        "calibration": None,
        "network": values["network"],
        "layers": layers,
    }


def deployed(vendor: Vendor, compiled: Path, folder: Path, network: dict) -> int:
    """Cycles by the vendor's model_deploy, with the tables that the adapter has written."""
    for name in ("model.mlir", "model_top_f32_all_weight.npz", "calibration"):
        (folder / name).symlink_to((compiled / name).resolve())
    (base,) = re.findall(
        r'module.mode = "(\w+)"', (compiled / "tpu.mlir").read_text(encoding="utf-8")
    )
    words = ["--mlir", "model.mlir", "--chip", "bm1684x", "--model", "m.bmodel", "--debug"]
    words += ["--quantize", base, "--calibration_table", "calibration"]
    words += ["--opt", str(network["opt"]), "--addr_mode", network["addresses"]]
    words += ["--disable_topo_sort"] * (not network["sort"])
    if (compiled / "precisions").is_file():
        shutil.copy(compiled / "precisions", folder)
        words += ["--quantize_table", "precisions"]
    if (compiled / "groups.json").is_file():
        mode = base.lower()
        for name in (f"model_bm1684x_{mode}", f"model_bm1684x_{mode}_sym"):
            shutil.copy(compiled / "groups.json", folder / f"{name}.layer_group_debugger.json")
        words += ["--lg_debugger", "3"]
    vendor.script("model_deploy", words, folder)
    text = (folder / "compiler_profile_0.txt").read_text(encoding="utf-8")
    return sum(int(n) for n in re.findall(r"^TCYC\s*:\s*(\d+)", text, re.MULTILINE))


def unseen(network: Network, folder: Path) -> None:
    """Writes samples of another seed, and the float network's answers."""
    session = onnxruntime.InferenceSession(network.model_bytes, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(2)
    for number in range(UNSEEN):
        run = {
            name: random.uniform(-1, 1, network.tensors[name].shape).astype(np.float32)
            for name in network.inputs
        }
        arrays = {f"output_{i}": v for i, v in enumerate(session.run(None, run))}
        arrays |= {f"input_{name}": value for name, value in run.items()}
        np.savez(folder / f"check_{number}.npz", **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("study", type=Path)
    given = parser.parse_args()
    best = npu_tune.load_study(given.study).best
    network = zoo_network(given.network, format="onnx")
    vendor = Vendor(os.environ.get("TPU_MLIR_HOME", ""))
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        model = base / "model.onnx"
        model.write_bytes(network.model_bytes)
        for each in ("compiled", "deployed", "unseen"):
            (base / each).mkdir()
        request = request_of(network, model, best.configuration)
        metrics = evaluate(request, vendor, "bm1684x", base / "compiled")["metrics"]
        cycles = deployed(vendor, base / "compiled", base / "deployed", request["network"])
        unseen(network, base / "unseen")
        found = vendor.inside(["noise", "tpu.mlir", str(base / "unseen")], base / "compiled")
    print(f"cycles: {metrics['cycles']:,}, by model_deploy {cycles:,}")
    print(f"dB: {metrics['snr_db']:.2f}, on {UNSEEN} other samples {found['snr_db']:.2f}")
    changed = {k: v for k, v in best.configuration.items() if v not in ("vendor", "INT8")}
    print("but for INT8 and the vendor's groups:", changed)


if __name__ == "__main__":
    main()
