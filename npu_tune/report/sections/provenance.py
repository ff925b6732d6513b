"""How to get what was found, what it depends on, and the commands that make it again."""

from __future__ import annotations

import shlex
from pathlib import Path

from npu_tune import __version__
from npu_tune.errors import NpuTuneError
from npu_tune.report.sections.model import Cell, Section, Table
from npu_tune.report.verdict import export_command
from npu_tune.tuning.folder import STUDY_FILE, read_study_folder
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.study_file import study_file_to_toml


def file_section(result: StudyResult, folder: Path) -> Section | None:
    """How to get what was found."""
    if result.best is None:
        return None
    return Section(
        "file",
        "Get the file",
        (f"Trial {result.best.number} is built, with everything that belongs to it, by:",),
        commands=(export_command(folder),),
    )


def provenance_section(result: StudyResult, folder: Path) -> Section:
    """What everything depends on, and the commands that make it again."""
    facts = {
        "study": result.name,
        "model": f"{result.model}, SHA-256 {result.identity.model_sha256}",
        "target": result.target,
        **{f"target: {name}": str(value) for name, value in result.identity.fingerprint.items()},
        **{f"sampler from trial {each.first_trial}": _sampler(each) for each in result.searches},
        "ended by": result.stopped or "nothing yet",
        "npu-tune": __version__,
    }
    rows = tuple((Cell(name), Cell(value)) for name, value in facts.items())
    where = shlex.quote(str(folder))
    commands = (
        f"npu-tune run {shlex.quote(str(folder / STUDY_FILE))}",
        f"npu-tune report {where}",
    )
    return Section(
        "provenance",
        "Where this comes from",
        (
            "The study's folder holds its model; with this study file it goes on, or is made again:",
        ),
        Table(("what", "value"), rows),
        commands,
        _study_file(folder),
    )


def _study_file(folder: Path) -> str:
    """The study file, without the storage, which may hold a password."""
    try:
        study = read_study_folder(folder)
    except NpuTuneError:
        return ""
    section = study.study.model_copy(update={"storage": None})
    return study_file_to_toml(study.model_copy(update={"study": section}))


def _sampler(search: SearchSettings) -> str:
    more = "".join(f", {name} = {value!r}" for name, value in search.options.items())
    return f"{search.sampler}, seed {search.seed}{more}"
