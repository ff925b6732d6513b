"""The file beside an artifact that says what was built."""

from __future__ import annotations

import json
from pathlib import Path

from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets.base import Evaluation, Kind, Target


def write_about(
    folder: Path,
    target: Target,
    network: Network,
    configuration: Configuration,
    *,
    evaluation: Evaluation,
    kind: Kind,
) -> Path:
    """Writes ``configuration.json``: the configuration, its figures and what they depend on."""
    default = target.space(network).default
    path = folder / "configuration.json"
    path.write_text(
        json.dumps(
            {
                "network": network.name,
                "network_sha256": network.digest,
                "target": target.name,
                **target.fingerprint(),
                "changes": configuration.difference(default),
                "configuration": dict(configuration),
                "kind": kind.value,
                "metrics": dict(evaluation.metrics),
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )
    return path
