"""By which sampler, options and seed the trials of a study are proposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npu_tune.errors import NpuTuneError
from npu_tune.space import NETWORK_SCOPE
from npu_tune.targets import Problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import is_study_folder, read_study_folder
from npu_tune.tuning.samplers import sampler_names
from npu_tune.tuning.sections import SamplerSection


@dataclass(frozen=True)
class SearchSettings:
    """What proposes the trials from one on, until the next ones.

    Args:
        first_trial: the number of the first trial.
        sampler: its name; that of its class where it was made in Python.
        seed: of the sampler.
        options: of the sampler, as JSON; those that it was made with in Python are not known.
    """

    first_trial: int
    sampler: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyFile, *, first_trial: int = 0) -> SearchSettings:
        options = study.sampler.model_dump(mode="json", exclude={"name"})
        return cls(first_trial, study.sampler.name or "", study.study.seed, options)

    def differences(self, earlier: SearchSettings) -> Iterator[str]:
        """What is not as it was, in words."""
        if self.sampler != earlier.sampler:
            yield f"the sampler is {self.sampler}, which was {earlier.sampler}"
        if self.seed != earlier.seed:
            yield f"the seed is {self.seed}, which was {earlier.seed}"
        for name in dict.fromkeys([*self.options, *earlier.options]):
            now, was = self.options.get(name), earlier.options.get(name)
            if now != was:
                yield f"the sampler's option {name} is {_shown(now)}, which was {_shown(was)}"


def kept_settings(folder: Path) -> SearchSettings | None:
    """What the study file in a study's folder says; None where there is none that can be read."""
    if not is_study_folder(folder):
        return None
    try:
        return SearchSettings.of(read_study_folder(folder))
    except NpuTuneError:
        return None


def default_sampler(problem: Problem) -> str:
    """The sampler of a study that names none: one that learns from profiles where there are any."""
    has_layers = bool(set(problem.space.layers) - {NETWORK_SCOPE})
    return "profile" if has_layers and problem.reports_profiles else "layerwise"


def stated_sampler(
    asked: SamplerSection, *, kept: SearchSettings | None, problem: Problem
) -> SamplerSection:
    """A sampler section that names its sampler.

    Args:
        asked: what the study says.
        kept: what the study's folder said before; None where there is none.
        problem: what is searched, which decides where nothing is said.
    """
    if asked.name is not None:
        return asked
    if kept is None or kept.sampler not in sampler_names():  # one that was made in Python
        return asked.model_copy(update={"name": default_sampler(problem)})
    return SamplerSection(name=kept.sampler, **{**kept.options, **asked.options})


def _shown(value: Any) -> str:
    return "not given" if value is None else repr(value)
