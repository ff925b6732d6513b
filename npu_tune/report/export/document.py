"""``export.json``: where an exported trial comes from, its figures, and the files of the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from npu_tune.report.export.study import PortableStudy
from npu_tune.report.origin import FileOrigin
from npu_tune.report.stretches import stretches_document
from npu_tune.targets import Artifact
from npu_tune.tuning.records import StudyResult, TrialRecord

SCHEMA = "npu-tune-export/1"
"""Within a version keys are only added."""


def export_document(
    result: StudyResult,
    trial: TrialRecord,
    artifact: Artifact,
    files: Mapping[str, str],
    *,
    origin: FileOrigin,
    again: PortableStudy,
    versions: Mapping[str, str | None],
) -> dict[str, Any]:
    """The document as JSON values.

    Args:
        result: of the study.
        trial: that was built.
        artifact: what the target built of it.
        files: every file's path in the folder by role.
        origin: of all of them.
        again: the study, as it stands in the folder.
        versions: of npu-tune and of what decides its figures.
    """
    objective = result.objective
    return {
        "schema": SCHEMA,
        "study": {
            "name": result.name,
            "trial": trial.number,
            "origin": trial.origin,
            "searches": [asdict(each) for each in result.searches],
            **stretches_document(result.stretches, commands=False),
        },
        "origin": origin.to_dict(),
        "beside": dict(again.missing),
        "model": {"name": result.model, "sha256": result.identity.model_sha256},
        "target": {"name": result.target, "fingerprint": dict(result.identity.fingerprint)},
        "versions": dict(versions),
        "metrics": [
            {"name": m.name, "unit": m.unit, "kind": str(m.kind), "description": m.description}
            for m in result.metrics
        ],
        "objective": dict(objective.weights),
        "goals": {name: str(goal) for name, goal in result.goals.items()},
        "limits": dict(objective.limits),
        "floors": dict(objective.floors),
        "figures": {
            "built": dict(artifact.evaluation.metrics),
            "baseline": None if result.baseline is None else dict(result.baseline.metrics),
            "references": {label: dict(m) for label, m in result.references.items()},
        },
        "cost": trial.cost,
        "feasible": trial.feasible,
        "violations": {name: beyond for name, beyond in trial.violations.items() if beyond > 0},
        "confidence": None if result.confidence is None else result.confidence.to_dict(),
        "changes": trial.configuration.difference(result.default),
        "memory": [dict(need.to_dict()) for need in artifact.needs],
        "notes": [*result.notes, *trial.notes],
        "files": dict(files),
    }
