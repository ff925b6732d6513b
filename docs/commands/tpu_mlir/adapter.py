"""Compiles a network with Sophgo's TPU-MLIR as a request of npu-tune asks, and answers with costs.

The request comes on standard input, the answer goes to the last line of standard output. Python's
standard library suffices; the vendor's tools run in the environment that TPU_MLIR_HOME names.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from grouping import VENDOR, execution_order, forbidden_groups
from mlir_text import (
    ADDED,
    NO_WORK,
    Matching,
    Operator,
    known_name,
    match_layers,
    owners,
    precision_of,
    read_operators,
)
from timeline import bytes_of, cycles_along, read_memory, read_record
from vendor import SetupError, Vendor, VendorError, complain, noise, prepare

PRECISIONS = ("INT8", "F16", "BF16", "F32")
HALF = "half"
GROUPED_BY_HAND = 2
"""The only level of optimization at which the compiler reads groups made by hand."""


class IllegalError(Exception):
    """Choices that do not go together."""


def main() -> None:
    """Answers one request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", default="bm1684x", help="such as bm1684x or bm1688")
    parser.add_argument("--home", default=os.environ.get("TPU_MLIR_HOME", ""))
    parser.add_argument("--version", action="store_true", help="print the compiler's, and end")
    options = parser.parse_args()
    if options.version:
        try:
            print(Vendor(options.home).version)
        except SetupError as error:
            sys.exit(str(error))
        return
    try:
        answer = evaluate(json.load(sys.stdin), Vendor(options.home), options.chip, Path.cwd())
    except SetupError as error:
        complain(error, "infrastructure")
    except IllegalError as error:
        complain(error, "illegal")
    except VendorError as error:
        complain(error, "compiler-error")
    else:
        print(json.dumps(answer))


def evaluate(request: Mapping, vendor: Vendor, chip: str, folder: Path) -> dict:
    """Compiles once, in a folder that is empty.

    Raises:
        IllegalError: for choices that do not go together.
        VendorError: if the compiler refuses.
    """
    network = request["network"]
    _check(network, chip)
    ready = prepare(vendor, Path(request["model"]), request["calibration"])
    for name in ("model.mlir", "model_top_f32_all_weight.npz", "calibration"):
        (folder / name).symlink_to(ready / name)
    top = read_operators((folder / "model.mlir").read_text())
    matching = match_layers(request["layers"], top)
    wanted = _leading(request["layers"], matching, "precision")
    half = network.get("half", "F16")  # the compiler takes one of the two in a network
    wanted = {name: half if each == HALF else each for name, each in wanted.items()}
    base, table = tables(wanted)
    table_file = folder / "precisions"
    if table:
        lines = ["# name  precision", *(f"{name} {each}" for name, each in table.items())]
        table_file.write_text("\n".join(lines) + "\n")
    _lower(
        vendor,
        network,
        folder,
        chip=chip,
        base=base,
        calibrated="INT8" in wanted.values(),
        table=table_file.name if table else "",
    )
    notes = _otherwise(wanted, folder) + _gone(request["layers"], matching)
    kept = {**table, "": f"{base} {chip}"}
    snr = noise(vendor, ready, kept, "tpu.mlir", folder)
    notes += _group(vendor, network, request["layers"], matching, folder)
    compiled = (
        "--codegen=model_file=model.bmodel embed_debug_info=True model_version=latest"
        " bmodel_only=False gdma_check=False rvti=False"
    )
    vendor.opt("final.mlir", [compiled], os.devnull, folder)
    return _answer(vendor, matching, snr, notes, folder)


def tables(wanted: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The most frequent precision, and those of the operators that have another one."""
    counts = Counter(wanted.values())
    base = max(PRECISIONS, key=lambda each: counts[each])
    return base, {name: each for name, each in wanted.items() if each != base}


def _check(network: Mapping, chip: str) -> None:
    if network.get("compress", "none") != "none" and chip != "bm1688":
        raise IllegalError(f"{chip} does not compress.")


def _leading(layers: Sequence[Mapping], matching: Matching, knob: str) -> dict[str, str]:
    """A knob's value by the vendor's name: that of the first layer of an operator that has it."""
    found: dict[str, str] = {}
    for layer in layers:
        name = matching.name_of.get(layer["name"])
        if name is not None and knob in layer["knobs"]:
            found.setdefault(name, layer["knobs"][knob])
    return found


def _lower(
    vendor: Vendor,
    network: Mapping,
    folder: Path,
    *,
    chip: str,
    base: str,
    calibrated: bool,
    table: str,
) -> None:
    """Lowers the network to the chip's operators, as ``model_deploy`` does."""
    assign = (
        f"--processor-assign=chip={chip} mode={base} num_device=1"
        f" num_core={network.get('cores', 1)} addr_mode={network.get('addresses', 'auto')}"
        " high_precision=False"
    )
    calibrate = ["--import-calibration-table=file=calibration asymmetric=False"] * calibrated
    weights = f"qtable={table} " * bool(table) + "weightFileName=tpu_weights.npz"
    lower = (
        f"--convert-top-to-tpu={weights} asymmetric=False doWinograd=False q_group_size=0"
        " q_symmetric=False matmul_perchannel=False gelu_mode=normal"
    )
    passes = [assign, *calibrate, "--processor-top-optimize", lower]
    passes += ["--canonicalize", "--weight-fold"]
    vendor.opt("model.mlir", passes, "tpu.mlir", folder)
    strip = (
        "--strip-io-quant=quant_input=False quant_output=False quant_input_list="
        " quant_output_list= quant_output_bf16=False quant_input_int8=False"
        " quant_output_int8=False"
    )
    optimize = ["--mlir-disable-threading", strip, "--processor-tpu-optimize"]
    vendor.opt("tpu.mlir", optimize, "tpu_opt.mlir", folder)


def _gone(layers: Sequence[Mapping], matching: Matching) -> list[str]:
    """Says which layers have choices that nothing is made of."""
    gone = [x["name"] for x in layers if x["knobs"] and x["name"] not in matching.name_of]
    return [f"The compiler has no operator for {', '.join(gone[:4])}."] if gone else []


def _otherwise(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Says which operators did not get their precision; the compiler does not."""
    lowered = read_operators((folder / "tpu.mlir").read_text())
    lowered = [each for each in lowered if each.kind not in NO_WORK]
    got = {known_name(each, wanted): precision_of(each) for each in reversed(lowered)}
    other = [name for name, each in wanted.items() if got.get(name, each) not in ("", each)]
    if not other:
        return []
    some = ", ".join(f"{name} {got[name]} instead of {wanted[name]}" for name in other[:4])
    return [f"The compiler gives {len(other)} operators another precision: {some}."]


def _group(
    vendor: Vendor,
    network: Mapping,
    layers: Sequence[Mapping],
    matching: Matching,
    folder: Path,
) -> list[str]:
    """Groups layers and places them in memory."""
    level = network.get("opt", 2)
    choices = {n: c for n, c in _leading(layers, matching, "group").items() if c != VENDOR}
    before = [
        "--dev-parallel",
        "--weight-reorder",
        "--subnet-divide=dynamic=False",
        "--op-reorder",
    ]
    before += ["--topo-sort"] * (network.get("sort", True))
    by_hand = bool(choices) and level == GROUPED_BY_HAND
    if by_hand:
        vendor.opt("tpu_opt.mlir", before, "sorted.mlir", folder)
        order = execution_order(read_operators((folder / "sorted.mlir").read_text()))
        entries = [
            entry
            for function, operators in order.items()
            for entry in forbidden_groups(
                operators, choices, subfunction=int(function.rpartition("_")[2])
            )
        ]
        settings = {
            "type": "DEBUGGER_DO_NOTHING",
            "sc_method": "SC_QUICK_SEARCH",
            "conditional_debug_types": [],
            "show_function_location": False,
            "GroupLayerDump": [],
            "ManualSetting": entries,
        }
        (folder / "groups.json").write_text(json.dumps(settings))
    group = (
        f"--layer-group=opt={level} group_by_cores=auto"
        f" compress_mode={network.get('compress', 'none')} debugger={3 if by_hand else 0}"
        " disable_group_overlap=false lgcache=true config_filename= enable_lghash=False"
        " lghash_dir=" + (" debugger_filename=groups.json" if by_hand else "")
    )
    after = ["--affine-opt", "--core-parallel", "--after-layergroup-weight-reorder"]
    vendor.opt("tpu_opt.mlir", [*before, group, *after, "--address-assign"], "final.mlir", folder)
    if choices and not by_hand:
        return [f"At opt {level} the compiler groups layers by itself, whatever they ask for."]
    return []


def _answer(
    vendor: Vendor, matching: Matching, snr: float, notes: list[str], folder: Path
) -> dict:
    records = [read_record(p.read_text()) for p in sorted(folder.glob("compiler_profile_*.txt"))]
    if not records:
        raise VendorError("The compiler has written no profile for this chip.")
    slowest = max(records, key=lambda each: each.cycles)
    final = read_operators((folder / "final.mlir").read_text())
    owner = owners(final, matching.layers_of)
    cycles = cycles_along(slowest.instructions, owner, slowest.cycles)
    moved: Counter = Counter()
    for record in records:
        moved.update(bytes_of(record.instructions, owner))
    return {
        "metrics": {
            "cycles": slowest.cycles,
            "memory_bytes": read_memory(vendor.info("model.bmodel", folder)),
            "dma_bytes": sum(each.dma_bytes for each in records),
            "snr_db": snr,
        },
        "profile": {
            layer: {
                "cycles": cycles.get(name, 0.0) / len(layers),
                "group": group,
                "dma_bytes": moved.get(name, 0.0) / len(layers),
            }
            for name, group in group_numbers(final, owner).items()
            for layers in [matching.layers_of[name]]
            for layer in layers
        },
        "notes": notes,
        "files": {"model": "model.bmodel"},
    }


def group_numbers(final: Sequence[Operator], owner: Mapping[int, str]) -> dict[str, int]:
    """A number by operator, the same for those that the vendor has put into one layer group."""
    found: dict[str, int] = {}
    last: tuple = ()
    number = -1
    for each in final:
        name = owner.get(each.line, "")
        if each.kind in ADDED or not name or name in found:
            continue
        place = (each.function, each.group if each.group is not None else f"line {each.line}")
        if place != last:
            number, last = number + 1, place
        found[name] = number
    return found


if __name__ == "__main__":
    main()
