"""Small inputs under the names that a page uses, and which kinds of file a block may be."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npu_tune.compare import parse_comparison
from npu_tune.network import Network, zoo_network
from npu_tune.network.rewrite import parse_plan
from npu_tune.targets.command.settings import CommandTable
from npu_tune.targets.neural_art.hardware.load import parse_hardware
from npu_tune.tuning import parse_study

SAMPLES = 8


def provide(folder: Path, name: str, what: str) -> None:
    """Writes an input file.

    Args:
        folder: of the page.
        name: of the file, as the page calls it.
        what: a built-in network for a model file; for an ``.npz``, ``inputs of NETWORK``, or
            ``labelled inputs of NETWORK`` with ``labels`` beside them.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    network = zoo_network(what.rpartition(" of ")[2])
    if path.suffix == ".npz":
        arrays = _inputs(network)
        if what.startswith("labelled "):
            classes = network.tensors[network.outputs[0]].shape[-1]
            arrays["labels"] = np.arange(SAMPLES) % classes
        np.savez(path, **arrays)  # type: ignore[arg-type]
    elif path.suffix == ".tflite":
        path.write_bytes(zoo_network(what, format="tflite").model_bytes)
    else:
        path.write_bytes(network.model_bytes)


def _inputs(network: Network) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.uniform(-1, 1, (SAMPLES, *network.tensors[name].shape[1:])).astype(np.float32)
        for name in network.inputs
    }


def check_toml(text: str, folder: Path) -> str:
    """Reads a block as the kind of file that its keys say; returns the kind.

    Raises:
        ValueError: It is none that npu-tune reads.
    """
    document = tomllib.loads(text)
    if "compare" in document:
        parse_comparison(document, base=folder)
        return "comparison"
    if "model" in document:
        parse_study(document, base=folder)
        return "study"
    if "based_on" in document:
        parse_hardware(text, source="a page")
        return "hardware"
    if "argv" in document:
        CommandTable.model_validate(document)
        return "command"
    if "project" in document:
        entry_points(document)
        return "entry points"
    raise ValueError(f"no file that npu-tune reads has the keys {sorted(document)}")


def entry_points(document: Mapping[str, Any]) -> list[str]:
    """``MODULE:NAME`` of every entry point of ours.

    Raises:
        ValueError: A group is none that npu-tune looks into.
    """
    groups = document["project"]["entry-points"]
    if unknown := set(groups) - {"npu_tune.targets", "npu_tune.samplers"}:
        raise ValueError(f"npu-tune looks into no such groups: {sorted(unknown)}")
    return [where for group in groups.values() for where in group.values()]


def check_json(text: str) -> None:
    """Reads a block of JSON; a plan of rewriting also as what it is."""
    document = json.loads(text)
    if "segments" in document or "splits" in document:
        parse_plan(document, source="a page")
