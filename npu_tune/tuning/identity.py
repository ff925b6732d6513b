"""What makes a study the same study: checked before a ledger is written to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from npu_tune.errors import StorageError, StudyMismatchError
from npu_tune.space import SearchSpace
from npu_tune.targets import Identity, Problem
from npu_tune.tuning.attributes import objective_attributes
from npu_tune.tuning.ledger import Ledger
from npu_tune.tuning.objective import Objective

STUDY = "npu_tune"
"""The study attribute that says what a study is; one attribute, so that it is there whole."""

_SPACE = "space_sha256"

_LABELS = {
    _SPACE: "search space (SHA-256)",
    "objective": "objective (weights)",
    "directions": "objective (directions)",
    "mode": "objective (mode)",
    "limits": "set of limits",
    "floors": "set of lower limits",
}


def study_identity(problem: Problem, objective: Objective) -> dict[str, Any]:
    """What must be the same for the trials of two runs to belong to one study, as JSON."""
    return {
        **problem.identity.to_dict(),
        _SPACE: _space_digest(problem.space),
        **objective_attributes(objective),
    }


def about_study(name: str, attributes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a ledger says that its study is; None where it does not yet.

    Args:
        name: of the study.
        attributes: of the ledger.

    Raises:
        StorageError: if it says what no version of this package has written.
    """
    stored = attributes.get(STUDY)
    if stored is not None and not isinstance(stored, Mapping):
        raise StorageError(
            f"The study {name!r} does not say what it is: its attribute {STUDY!r} is no table.",
            remedy="Restore its storage from a backup.",
            name=name,
        )
    return stored


def require_same_study(ledger: Ledger, identity: Mapping[str, Any]) -> bool:
    """True where the ledger holds this study already, False where it is still empty.

    Raises:
        StudyMismatchError: if it holds another one; says what differs and both values.
        StorageError: if it holds trials of who knows what.
    """
    stored = about_study(ledger.name, ledger.attributes())
    if stored is None:
        if ledger.trials():
            raise StorageError(
                f"The storage of the study {ledger.name!r} holds trials that npu-tune did not "
                "write.",
                remedy="Give the study another name or storage.",
                name=ledger.name,
            )
        return False
    differences = list(_differences(stored, identity))
    causes = [difference for difference in differences if difference[0] != _LABELS[_SPACE]]
    # Another model or target always has another space, which says nothing to a person.
    differences = causes or differences
    if differences:
        remedy = "Give the new study another folder, or ask for what the stored one is about."
        raise _mismatch(ledger.name, differences, remedy)
    return True


def require_same_problem(name: str, stored: Identity, own: Identity) -> None:
    """Checks that a study is about a problem.

    Args:
        name: of the study.
        stored: what the study is about.
        own: of the problem.

    Raises:
        StudyMismatchError: if it is about another one; says what differs and both values.
    """
    differences = list(own.differences(stored.to_dict()))
    if differences:
        remedy = "Ask for the model, the target and the options that the study was made with."
        raise _mismatch(name, differences, remedy)


def _mismatch(
    name: str, differences: list[tuple[str, Any, Any]], remedy: str
) -> StudyMismatchError:
    listed = "; ".join(
        f"its {label} is {_short(was)}, not {_short(now)}" for label, was, now in differences
    )
    return StudyMismatchError(
        f"The stored study {name!r} is another one: {listed}.",
        remedy=remedy,
        differences={label: {"stored": was, "asked": now} for label, was, now in differences},
    )


def _differences(
    stored: Mapping[str, Any], identity: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    yield from Identity.from_dict(identity).differences(stored)
    for key, label in _LABELS.items():
        was, now = stored.get(key), identity.get(key)
        if was != now:
            yield label, was, now


def _space_digest(space: SearchSpace) -> str:
    knobs = [[k.full_name, list(k.values), k.default, k.ordered] for k in space.knobs]
    return hashlib.sha256(json.dumps(knobs, separators=(",", ":")).encode()).hexdigest()


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
