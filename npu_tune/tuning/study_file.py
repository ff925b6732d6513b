"""Study files: reading TOML, validated key by key, and writing it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from npu_tune.errors import UsageError
from npu_tune.files import is_file
from npu_tune.tuning.config import StudyFile, is_model_file_name, model_name
from npu_tune.tuning.sections import ModelSection, TargetSection
from npu_tune.validation import key_name, read_toml, sentence, to_toml, validated

Model = TypeVar("Model", bound=ModelSection)
Target = TypeVar("Target", bound=TargetSection)

__all__ = [
    "ModelSection",
    "StudyFile",
    "load_study_file",
    "model_name",
    "parse_study",
    "study_file_to_toml",
]


def load_study_file(
    path: Path | str, *, executor: Mapping[str, Any] = MappingProxyType({})
) -> StudyFile:
    """Reads and validates a study file; its relative paths count from its own folder.

    Args:
        path: of the file.
        executor: keys of its section that count instead of the file's; None for none at all.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    path = Path(path)
    document = read_toml(path, whole="study file", kind=UsageError)
    own = document.get("executor", {})
    if executor and isinstance(own, dict):
        document["executor"] = without_none({**own, **executor})
    return parse_study(document, base=path.resolve().parent, source=str(path))


def parse_study(document: dict[str, Any], *, base: Path, source: str = "study") -> StudyFile:
    """Validates what a study file says; relative paths count from ``base``.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    study = validated(StudyFile, document, source=source, whole="study file", kind=UsageError)
    return _resolved(study, base)


def names_of_keys() -> dict[str, str]:
    """What messages on a study file call its keys, for :func:`npu_tune.validation.keys_called`."""
    keys = [
        f"{section}.{key}"
        for section, field in StudyFile.model_fields.items()
        for name, own in getattr(field.annotation, "model_fields", {}).items()
        for key in [own.alias or name]
    ]
    return {key: f"the key {key!r}" for key in [*keys, "limits"]}


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    """A document without the keys that say nothing, which :func:`parse_study` takes."""
    return {
        key: without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def study_file_to_toml(study: StudyFile) -> str:
    """The study file as TOML text; :func:`load_study_file` reads it back."""
    return to_toml(study)


def resolved_model(model: Model, base: Path) -> Model:
    """With absolute paths, those in the file counted from ``base``; names of networks stay."""
    path = model.path
    is_path = "/" in path or is_model_file_name(path) or is_file(base / path)
    return model.model_copy(
        update={
            "path": str(base / path) if is_path else path,
            "calibration": model.calibration and base / model.calibration,
        }
    )


def resolved_target(target: Target, base: Path) -> Target:
    """The same for the options; what names no file beside the study file stays as it is."""

    def existing(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: existing(each) for key, each in value.items()}
        if isinstance(value, list):
            return [existing(each) for each in value]
        if isinstance(value, str) and value and is_file(base / value):
            return str(base / value)
        return value

    return target.model_copy(update={k: existing(v) for k, v in target.options.items()})


def chosen_folder(folder: Path | None, name: str, base: Path, *, key: str) -> Path:
    """The folder that a file names, or the one that is called as it is, beside it.

    Raises:
        UsageError: if it names none, and the name leads away from the file.
    """
    found = (base / (folder or name)).resolve()
    if folder is None and not found.is_relative_to(base.resolve()):
        raise UsageError(
            f"{sentence(key_name(key))} is {name!r}, which as a folder is not beside the file.",
            remedy=f"Change it, or name the folder with the key {key.partition('.')[0] + '.folder'!r}.",
            key=key,
            value=name,
        )
    return found


def _resolved(study: StudyFile, base: Path) -> StudyFile:
    """Makes paths absolute."""
    section = study.study.model_copy(
        update={
            "folder": chosen_folder(study.study.folder, study.name, base, key="study.name"),
            "storage": _resolved_storage(study.study.storage, base),
            "sources": tuple(e if str(e) == "cache" else base / e for e in study.study.sources),
            "cache": study.study.cache and base / study.study.cache,
        }
    )
    return study.model_copy(
        update={
            "model": resolved_model(study.model, base),
            "target": resolved_target(study.target, base),
            "study": section,
        }
    )


def _resolved_storage(storage: str | None, base: Path) -> str | None:
    if storage is None:
        return None
    if "://" not in storage:
        return str(base / storage)
    relative = re.fullmatch(r"(sqlite[^:]*:///|journal://)([^/:].*)", storage)
    return f"{relative[1]}{base / relative[2]}" if relative else storage
