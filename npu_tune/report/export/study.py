"""The folder ``again`` of an export: the study, so that it can be made once more anywhere."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npu_tune.files import is_file
from npu_tune.network import Network, zoo_network
from npu_tune.network.zoo import is_zoo_name
from npu_tune.report.origin import FileOrigin
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.records import TrialRecord
from npu_tune.tuning.study_file import study_file_to_toml

FOLDER = "again"
"""Name of the folder."""


@dataclass(frozen=True, slots=True)
class PortableStudy:
    """A study file that names no place of the machine on which the study ran.

    Args:
        file: its sections; every file that it names stands in its own folder.
        model: what it names as model.
        copies: the files of the study that come along, by name there.
        missing: SHA-256, in hexadecimal, of files of the target by name, which do not.
    """

    file: StudyFile
    model: str
    copies: Mapping[str, Path]
    missing: Mapping[str, str] = field(default_factory=dict)

    def origin(self, trial: TrialRecord) -> FileOrigin:
        """Where the files of an export of a trial come from; the command is for its folder."""
        folder = shlex.quote(f"{FOLDER}/{self.file.name}")
        command = (
            f"npu-tune run {FOLDER}/study.toml && "
            f"npu-tune export {folder} --pick {trial.number} --out DIR"
        )
        return FileOrigin(self.file.name, trial.number, command)

    def write(self, folder: Path, origin: FileOrigin) -> dict[str, Path]:
        """Writes the study file and what comes along into a folder; returns paths by role."""
        folder.mkdir()
        files = {"study": folder / "study.toml"}
        text = f"# {origin.sentence}\n{study_file_to_toml(self.file)}"
        files["study"].write_text(text, encoding="utf-8")
        for name, source in self.copies.items():
            files[f"study {name}"] = folder / name
            shutil.copyfile(source, folder / name)
        return files


def portable_study(study: StudyFile, network: Network) -> PortableStudy:
    """A study without its places, and without where its trials are kept.

    Whoever runs it again gets a folder of the study's name beside the file, with a ledger of its
    own: the address of a database may hold a password.

    Args:
        study: as its folder has it, with absolute paths.
        network: of the study.
    """
    copies, missing = {}, {}
    model, calibration = network.name, None
    if not is_zoo_network(network):
        model = f"{network.name}.{network.format}"
        copies[model] = Path(study.model.path)
    if study.model.calibration is not None:
        calibration = Path(study.model.calibration.name)
        copies[calibration.name] = study.model.calibration

    def portable(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: portable(each) for key, each in value.items()}
        if isinstance(value, list):
            return [portable(each) for each in value]
        if not isinstance(value, str) or not Path(value).is_absolute():
            return value
        if is_file(value):
            missing[Path(value).name] = hashlib.sha256(Path(value).read_bytes()).hexdigest()
        return Path(value).name

    options = {key: portable(value) for key, value in study.target.options.items()}
    here = {"name": study.name, "folder": None, "storage": None, "cache": None, "sources": ()}
    file = study.model_copy(
        update={
            "model": study.model.model_copy(update={"path": model, "calibration": calibration}),
            "target": study.target.model_copy(update=options),
            "study": study.study.model_copy(update=here),
            "executor": study.executor.model_copy(update={"address": None}),
        }
    )
    return PortableStudy(file, model, copies, missing)


def is_zoo_network(network: Network) -> bool:
    """Whether a network is the built-in one of its name."""
    if not is_zoo_name(network.name) or network.format not in ("onnx", "tflite"):
        return False
    return zoo_network(network.name, format=network.format).digest == network.digest
