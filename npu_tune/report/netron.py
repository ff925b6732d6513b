"""The network as it was given, with what a trial changes written into it, to be looked at in Netron.

Netron shows metadata of the model in either format, and of nodes in ONNX files. TFLite has none of
operators, so that there the outputs of operators carry the cost in their names, and Netron takes
further figures from a file that is opened after the model, an *attachment* (Netron 9.3).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from npu_tune.errors import ModelError, ModelFormatError
from npu_tune.network import Network, load_network
from npu_tune.numerals import format_value
from npu_tune.report.layer_figures import LayerFigures, layer_figures
from npu_tune.report.origin import FileOrigin
from npu_tune.tuning.records import StudyResult, TrialRecord

FORMATS = ("onnx", "tflite")
"""What can be written into."""

_MOST_CHARACTERS = 255
"""Of a TFLite model's metadata, which Netron shows as ``?`` if it is longer or not ASCII."""


def write_annotated_model(
    result: StudyResult, trial: TrialRecord, source: Path, out: Path, *, origin: FileOrigin
) -> None:
    """Writes a copy of a model with the figures of a trial in it; see :func:`annotated_model`.

    Args:
        result: of the study.
        trial: whose figures.
        source: the model's file, such as the study's own copy.
        out: where to write.
        origin: of what is written.

    Raises:
        ModelError: if nothing can be written into such a file.
        OSError: if it cannot be written.
    """
    out.write_bytes(annotated_model(result, trial, load_network(source), origin))


def annotated_model(
    result: StudyResult, trial: TrialRecord, network: Network, origin: FileOrigin
) -> bytes:
    """A model that computes the same as a network's, with the figures of a trial in it.

    Args:
        result: of the study.
        trial: whose figures.
        network: of the study, or one with the same names of layers.
        origin: of what is made.

    Raises:
        ModelError: if nothing can be written into such a file.
    """
    from npu_tune.network.onnx.annotate import annotate_onnx  # noqa: PLC0415 -- heavy
    from npu_tune.network.tflite.annotate import annotate_tflite  # noqa: PLC0415 -- as above

    model, layers = _model_texts(result, trial), layer_texts(result, trial)
    model["npu-tune made it by"] = origin.command
    if network.format == "onnx":
        return annotate_onnx(network.model_bytes, metadata=model, nodes=layers)
    if network.format == "tflite":
        lines = {f"layer {name}": _line(texts) for name, texts in layers.items()}
        costs = {
            index: f" [{layers[layer.name]['cost']}]"
            for index, layer in enumerate(network.layers)
            if "cost" in layers.get(layer.name, {})
        }
        lines = {name: _ascii(text) for name, text in (model | lines).items()}
        return annotate_tflite(network.model_bytes, metadata=lines, operators=costs)
    raise ModelFormatError(
        f"Nothing can be written into a model in the format {network.format}.",
        remedy=f"Give one of {', '.join(FORMATS)}.",
    )


def netron_names(network: Network) -> dict[str, str]:
    """The names of the files for Netron by role."""
    names = {"annotated": f"{network.name}_annotated.{network.format}"}
    return names | (
        {"netron": f"{network.name}_netron.json"} if network.format == "tflite" else {}
    )


def write_netron_files(
    result: StudyResult, trial: TrialRecord, network: Network, folder: Path, origin: FileOrigin
) -> dict[str, Path]:
    """Writes the annotated model, and for TFLite the attachment; returns paths by role.

    There is nothing where nothing can be written into the model's file.

    Args:
        result: of the study.
        trial: whose figures.
        network: of the study.
        folder: to write into.
        origin: of the files.
    """
    try:
        content = annotated_model(result, trial, network, origin)
    except ModelError:
        return {}
    files = {role: folder / name for role, name in netron_names(network).items()}
    files["annotated"].write_bytes(content)
    if "netron" in files:
        attachment = netron_attachment(result, trial, network)
        attachment["npu-tune"] = origin.to_dict()
        files["netron"].write_text(json.dumps(attachment, indent=2) + "\n", encoding="utf-8")
    return files


def netron_attachment(result: StudyResult, trial: TrialRecord, network: Network) -> dict[str, Any]:
    """The figures of a trial as JSON values that Netron takes after the model.

    Args:
        result: of the study.
        trial: whose figures.
        network: a TFLite network, whose operators Netron counts from 0.
    """
    layers = layer_texts(result, trial)
    return {
        "signature": "netron:attachment",
        "metadata": [
            {"kind": "node", "identifier": str(index), "name": name, "value": text}
            for index, layer in enumerate(network.layers)
            for name, text in layers.get(layer.name, {}).items()
        ],
    }


def layer_texts(result: StudyResult, trial: TrialRecord) -> Mapping[str, Mapping[str, str]]:
    """By layer, what is said of it: cost, share, what bounds it, knobs, the other columns."""
    return {
        each.change.layer: dict(_texts(result, each))
        for each in layer_figures(result, trial)
        if not each.is_network
    }


def _texts(result: StudyResult, figures: LayerFigures) -> Iterator[tuple[str, str]]:
    schema, before, after = result.profile, figures.before, figures.after
    pairs = {
        name: (before.row.get(name), after.row.get(name))
        for name in dict.fromkeys([schema.cost, *before.row, *after.row])
    }
    cost = pairs.pop(schema.cost)
    if cost != (None, None):
        yield "cost", f"{_pair(*cost)} {schema.unit}{_ratio(*cost)}"
        yield "share of the cost", _pair(before.share, after.share, _percent)
    if before.bound_by or after.bound_by:
        yield "bound by", _change(before.bound_by or "-", after.bound_by or "-")
    for knob, (old, new) in figures.change.changes.items():
        yield f"knob {knob}", f"{old} -> {new}"
    for name, pair in pairs.items():
        yield name, _pair(*pair)


def _model_texts(result: StudyResult, trial: TrialRecord) -> dict[str, str]:
    """What is said of the whole network: the trial, its metrics, network-wide knobs."""
    baseline = {} if result.baseline is None else result.baseline.metrics
    cost = "" if trial.cost is None else f", cost {trial.cost:.4f}"
    texts = {"npu-tune": f"trial {trial.number} of {result.name} for {result.target}{cost}"}
    for metric in result.metrics:
        before, after = baseline.get(metric.name), trial.metrics.get(metric.name)
        if after is not None:
            texts[f"{metric.name} ({metric.kind})"] = (
                f"{_pair(before, after)} {metric.unit}".rstrip() + _ratio(before, after)
            )
    for each in layer_figures(result, trial):
        if each.is_network:
            changes = each.change.changes.items()
            texts |= {f"knob {knob}": f"{old} -> {new}" for knob, (old, new) in changes}
    return texts


def _pair(
    before: float | None, after: float | None, form: Callable[[float], str] = format_value
) -> str:
    return _change(*("-" if value is None else form(value) for value in (before, after)))


def _change(before: str, after: str) -> str:
    """Both, or one where they are the same."""
    return after if before == after else f"{before} -> {after}"


def _ratio(before: float | None, after: float | None) -> str:
    """`` (0.905)``, after by before; "" where nothing changed, or there is nothing to divide by."""
    if not before or after is None or before == after:
        return ""
    return f" ({after / before:.3f})"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _line(texts: Mapping[str, str]) -> str:
    """All that is said of a layer in one line, as far as there is room for it."""
    line = ""
    for name, text in texts.items():
        longer = f"{line}; {name} {text}" if line else f"{name} {text}"
        if len(longer) > _MOST_CHARACTERS:
            break
        line = longer
    return line


def _ascii(text: str) -> str:
    """As Netron shows it: printable ASCII, and not too long."""
    plain = text.encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in plain)[:_MOST_CHARACTERS]
