"""A network bound to a program, which is run once per evaluation."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from npu_tune.errors import CompilerError, WorkerLostError, remedy_for
from npu_tune.files import is_file
from npu_tune.network import Network
from npu_tune.network.quantize.calibrate import check_calibration
from npu_tune.processes.programs import Program, ProgramRunner
from npu_tune.space import NETWORK_SCOPE, SearchSpace, Value
from npu_tune.targets.about import ABOUT
from npu_tune.targets.command.answer import MOST_BYTES, AnswerTable, evaluation_of, read_answer
from npu_tune.targets.command.knobs import by_layer, make_space, make_starts
from npu_tune.targets.command.memory import timeline_of
from npu_tune.targets.command.settings import CommandTable
from npu_tune.targets.measured.data import MeasuringData
from npu_tune.targets.memory import MemoryTimeline
from npu_tune.targets.metrics import Evaluation, ProfileSchema
from npu_tune.targets.problem import Artifact, Problem, Start, Target

PROTOCOL = "1"
"""Raised whenever a program is asked in another way."""

FOREVER_S = 1e9
"""Where the command has no time limit of its own: the study's ends its worker."""


@dataclass(frozen=True)
class _Answered:
    """A program's answer, and the folder in which it has run and which is about to go."""

    answer: AnswerTable
    evaluation: Evaluation
    folder: Path


class CommandProblem(Problem):
    """Runs the program in a folder of its own, once per evaluation.

    Args:
        target: that made it.
        table: what is run and what comes back.
        network: what is compiled.
        data: typical inputs; None where the program takes none.
    """

    def __init__(
        self,
        target: Target,
        table: CommandTable,
        network: Network,
        data: MeasuringData | None,
    ) -> None:
        super().__init__(target, network)
        self._table = table
        self._space = make_space(table.knobs, network)
        self._starts = tuple(make_starts(table.starts, self._space))
        self._calibration = None if data is None else data.calibration
        if self._calibration is not None:
            check_calibration(
                self._calibration, {name: network.tensors[name].shape for name in network.inputs}
            )
        self.deterministic = table.repeats
        self.reports_profiles = table.profile is not None
        self.most_workers = table.at_a_time
        if table.profile is not None:
            self.profile = ProfileSchema(**table.profile.model_dump())
        self._stack = contextlib.ExitStack()

    @property
    def space(self) -> SearchSpace:
        return self._space

    def starts(self) -> tuple[Start, ...]:
        return self._starts

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        with self._answered(configuration) as answered:
            return answered.evaluation

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline | None:
        """Runs the program once more, where it says that it can tell."""
        if not self._table.memory:
            return None
        with self._answered(configuration) as answered:
            layers = {layer.name for layer in self.network.layers}
            return timeline_of(answered.answer.memory, layers)

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        """Runs the program once more and keeps the files that it names."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {}
        with self._answered(configuration) as answered:
            named = answered.answer.files.items()
            sources = {role: _inside(answered.folder, name) for role, name in named}
            _require_names_of_their_own(sources.values())
            for role, source in sources.items():
                files[role] = folder / source.name
                shutil.copy(source, files[role])  # with its mode: it may be a program
            evaluation = answered.evaluation
        about = self.write_about(folder, configuration, evaluation)
        own = {"model": about} if "model" not in files else {"configuration": about}
        return Artifact({**files, **own}, evaluation)

    def close(self) -> None:
        """Ends the process that runs programs and removes its files."""
        self._stack.close()
        vars(self).pop("_folder", None)
        vars(self).pop("_runner", None)

    @cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="npu-tune-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / f"model.{self.network.format}").write_bytes(self.network.model_bytes)
        if self._calibration is not None:
            arrays: dict[str, Any] = dict(self._calibration)
            np.savez(folder / "calibration.npz", **arrays)
        return folder

    @cached_property
    def _runner(self) -> ProgramRunner:
        return self._stack.enter_context(ProgramRunner())

    @cached_property
    def _layers(self) -> list[dict[str, Any]]:
        return [
            {
                "name": layer.name,
                "operator": layer.op,
                "inputs": list(layer.inputs),
                "outputs": list(layer.outputs),
            }
            for layer in self.network.layers
        ]

    @cached_property
    def _tensors(self) -> dict[str, dict[str, Any]]:
        named = [n for layer in self.network.layers for n in (*layer.inputs, *layer.outputs) if n]
        tensors = [self.network.tensors[name] for name in dict.fromkeys(named)]
        return {each.name: {"shape": list(each.shape), "dtype": each.dtype} for each in tensors}

    @contextlib.contextmanager
    def _answered(self, configuration: Mapping[str, Value]) -> Iterator[_Answered]:
        """Runs the program; its folder lasts for as long as the answer is needed."""
        if "_folder" in vars(self) and not self._folder.is_dir():  # something has cleaned up
            self.close()
        try:
            with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as name:
                yield self._run(configuration, Path(name))
        except (OSError, EOFError) as error:
            raise WorkerLostError(
                f"The command cannot be run: {_said(error)}.",
                remedy=remedy_for(error, "") if isinstance(error, OSError) else "",
            ) from error

    def _run(self, configuration: Mapping[str, Value], scratch: Path) -> _Answered:
        folder = scratch / "work"
        folder.mkdir()
        request, output, errors = (scratch / n for n in ("request.json", "output", "errors"))
        asked = self._request(configuration)
        request.write_text(json.dumps(asked), encoding="utf-8")
        places = {
            "{model}": asked["model"],
            "{request}": str(request),
            "{calibration}": asked["calibration"] or "",
        }
        limit = self._table.time_limit
        program = Program(
            argv=tuple(_filled(word, places) for word in self._table.argv),
            folder=folder,
            input=request,
            output=output,
            errors=errors,
            time_limit_s=FOREVER_S if limit is None else limit,
            most_bytes=MOST_BYTES,
            environment={**os.environ, **self._table.environment},
        )
        end = self._runner.run(program)
        answer = read_answer(self._table, end, output, errors)
        evaluation = evaluation_of(self._table, answer, self.network, self._space, left=end.left)
        return _Answered(answer, evaluation, folder)

    def _request(self, configuration: Mapping[str, Value]) -> dict[str, Any]:
        values = by_layer(self._space.complete(configuration))
        layers = [{**each, "knobs": values.get(each["name"], {})} for each in self._layers]
        calibration = None if self._calibration is None else self._folder / "calibration.npz"
        return {
            "schema": f"npu-tune-command-{PROTOCOL}",
            "model": str(self._folder / f"model.{self.network.format}"),
            "format": self.network.format,
            "calibration": calibration and str(calibration),
            "network": values.get(NETWORK_SCOPE, {}),
            "layers": layers,
            "tensors": self._tensors,
        }


def _filled(word: str, places: Mapping[str, str]) -> str:
    for place, text in places.items():
        word = word.replace(place, text)
    return word


def _inside(folder: Path, name: str) -> Path:
    """A file that the program has written where it ran.

    Raises:
        CompilerError: if it is not there.
    """
    path = folder / name
    if not is_file(path) or not path.resolve().is_relative_to(folder.resolve()):
        raise CompilerError(
            f"The command names a file {name!r}, which it has not written where it runs.",
            remedy="Name files by their path in the folder in which the command was started.",
        )
    return path.resolve()


def _require_names_of_their_own(sources: Iterable[Path]) -> None:
    """Raises CompilerError where one exported file would overwrite another."""
    names = [ABOUT, *(source.name for source in set(sources))]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CompilerError(
            f"The command names two files {twice!r}, or the one that npu-tune writes itself.",
            remedy="Give the files that are deployed names of their own.",
        )


def _said(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "the process that runs it has ended"
