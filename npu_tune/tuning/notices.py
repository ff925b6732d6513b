"""What a person is told of a study before it runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from npu_tune.errors import NpuTuneWarning
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import is_study_folder, read_study_folder
from npu_tune.tuning.ledger import Ledger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.samplers import sampler_kind
from npu_tune.validation import key_name, key_note

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def explain_sampler(name: str, objective: Objective) -> None:
    """Says what a sampler for several objectives does with one."""
    kind = sampler_kind(name)
    if len(objective.study_directions) == 1 and kind.of_one_objective:
        warnings.warn(
            f"The sampler {kind.name}{key_note('sampler.name')} sees one number only, the cost: it "
            f"{kind.of_one_objective}. To let it see every metric by itself, {_pareto()}.",
            NpuTuneWarning,
            stacklevel=2,
        )


def explain_sources(study: StudyFile) -> None:
    """Says so where a study that has begun is told to begin with others than it did."""
    if not is_study_folder(study.folder):
        return
    named, before = study.study.sources, read_study_folder(study.folder).study.sources
    new = [str(each) for each in named if each not in before]
    if new:
        warnings.warn(
            f"The study {study.name!r} has begun already, and takes nothing in from "
            f"{', '.join(new)} ({key_name('study.from')}): only a new study begins with others.",
            NpuTuneWarning,
            stacklevel=2,
        )


def _pareto() -> str:
    """How a study is given an objective per metric."""
    flag = key_name("objective.mode", "")
    if flag.startswith("--"):
        return f"give {flag} pareto"
    return f"set {flag} to 'pareto'"


def is_done(ledger: Ledger, trials: Sequence[FrozenTrial], budget: int | None) -> bool:
    """Says so where a study has more than is asked for; what it says of itself then stays."""
    done = sum("duplicate_of" not in trial.user_attrs for trial in trials)
    if budget is None or done <= budget:
        return False
    warnings.warn(
        f"The study {ledger.name!r} is already done, with {done} of {budget} evaluations, and "
        f"stays as it is. Ask for more with {key_name('study.evaluations')} to go on.",
        NpuTuneWarning,
        stacklevel=2,
    )
    return True
