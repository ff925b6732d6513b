"""The file beside an artifact that says what was built."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from npu_tune.space import Configuration
from npu_tune.targets.confidence import Confidence
from npu_tune.targets.key import Identity
from npu_tune.targets.metrics import Evaluation, Metric

ABOUT = "configuration.json"
"""Name of the file."""


def write_about(
    folder: Path,
    *,
    identity: Identity,
    network_name: str,
    metrics: Iterable[Metric],
    configuration: Configuration,
    default: Configuration,
    evaluation: Evaluation,
    confidence: Confidence | None = None,
) -> Path:
    """Writes ``configuration.json``: the configuration, its metrics and what they depend on.

    Args:
        folder: where to write.
        identity: of the problem.
        network_name: for people.
        metrics: of the target.
        configuration: what was built.
        default: what changes are listed against.
        evaluation: the exact metrics.
        confidence: in the metrics, for this network; None where nothing is stated.
    """
    document: dict[str, Any] = {
        "network": network_name,
        "network_sha256": identity.model_sha256,
        "target": identity.target,
        **identity.fingerprint,
        "changes": configuration.difference(default),
        "configuration": dict(configuration),
    }
    kinds = {m.name: str(m.kind) for m in metrics if m.name in evaluation.metrics}
    # Numbers of one kind are called so once; a target that mixes kinds has to say which is which.
    if len(set(kinds.values())) == 1:
        document["kind"] = next(iter(kinds.values()))
    else:
        document["kinds"] = kinds
    document["metrics"] = dict(evaluation.metrics)
    if confidence is not None:
        document["confidence"] = confidence.to_dict()
    path = folder / ABOUT
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
