"""A network in a library on this machine, measured again and again."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    InaccurateOutputError,
    WorkerLostError,
    remedy_for,
)
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.measured import metrics as names
from npu_tune.targets.measured.backend import BackEnd
from npu_tune.targets.measured.fidelity import Fidelity
from npu_tune.targets.measured.machine import usable_cores
from npu_tune.targets.measured.messages import Measurement, MeasuringSetup, WrittenConfiguration
from npu_tune.targets.measured.mixed import mixtures
from npu_tune.targets.measured.rounds import RoundSettings
from npu_tune.targets.measured.session import MeasuringSession
from npu_tune.targets.metrics import Evaluation
from npu_tune.targets.problem import Artifact, Problem, Start, Target

_BUSY_SHARE = 1.25
"""Wall time by processor time from which others are said to have held the processor."""


class MeasuredProblem(Problem):
    """A network whose configurations are run.

    Nothing runs before the first evaluation; then a process is started that ends with the problem.

    Args:
        target: what is measured.
        network: of ONNX.
        back_end: of the library, for this network.
        fidelity: judges outputs.
        rounds: how long is measured.
    """

    deterministic = False
    profile = names.PROFILE

    def __init__(
        self,
        target: Target,
        network: Network,
        back_end: BackEnd,
        fidelity: Fidelity,
        *,
        rounds: RoundSettings = RoundSettings(),  # noqa: B008 - a frozen value
    ) -> None:
        super().__init__(target, network)
        self._back_end = back_end
        self._fidelity = fidelity
        self._rounds = rounds
        self._noise: dict[Configuration, float] = {}
        self.most_workers = max(len(usable_cores()) // back_end.engine.threads, 1)
        self._stack = contextlib.ExitStack()

    @property
    def space(self) -> SearchSpace:
        """Network-wide knobs, and those of each layer."""
        return self._back_end.space

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        """Writes, runs and times one configuration, and compares what it computes.

        Raises:
            InaccurateOutputError: if an output is no number, or more noise than signal.
            CompilerError: if the library refuses it.
            CompilerCrashError: if it crashes every time.
            WorkerLostError: if no core becomes free.
        """
        whole = self.space.effective(self.space.complete(configuration))
        self.space.check(whole)
        with self._written(whole) as candidate:
            measurement = self._session.measure(candidate)
        found = self._fidelity.judge(measurement.outputs)
        return self._evaluation(whole, measurement, found)

    def _evaluation(
        self, whole: Configuration, measurement: Measurement, found: Mapping[str, float]
    ) -> Evaluation:
        timing = measurement.timing
        if timing is None:
            raise RuntimeError("Nothing was timed.")
        memory = max(measurement.load_peak_bytes, measurement.run_peak_bytes)
        profile = self._profile_of(whole, measurement.layer_seconds or {})
        return Evaluation(
            metrics={
                names.RATIO: timing.ratio / measurement.drift ** _reduced_share(profile),
                names.LATENCY: timing.candidate_s * 1e3,
                names.PEAK_MEMORY: float(memory),
                names.RUN_MEMORY: float(measurement.run_peak_bytes),
                **found,
            },
            profile=profile,
            notes=_notes(measurement),
            spread={names.RATIO: timing.spread},
        )

    def _profile_of(
        self, whole: Configuration, seconds: Mapping[str, float]
    ) -> dict[str, dict[str, float]]:
        back_end = self._back_end
        stored = back_end.constant_bytes(whole)
        rows = {
            layer.name: {
                "ms": 0.0,
                "noise": self.noise(whole, layer.name),
                "bytes": float(stored.get(layer.name, 0)),
            }
            for layer in back_end.layers
        }
        row: dict[str, float] | None = None
        for label, taken in seconds.items():
            # What a library puts between layers, such as a change of layout, has no name of
            # theirs, and belongs to the layer before it.
            row = rows.get(back_end.layer_of(label), row)
            if row is not None:
                row["ms"] += taken * 1e3
        return rows

    def noise(self, configuration: Configuration, layer: str) -> float:
        """What a layer adds to the noise, relative to the signal, by being as it is alone."""
        alone = self._back_end.noisy_choice(configuration, layer)
        if alone is None:
            return 0.0
        if alone not in self._noise:
            decibels = self._decibels(alone)
            share = 1.0 if math.isnan(decibels) else 10 ** (-decibels / 10)
            self._noise[alone] = min(share, 1.0)
        return self._noise[alone]

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        """Writes a package that runs by itself: files, a script, an input, the configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.space.effective(self.space.complete(configuration))
        evaluation = self.evaluate(whole)
        files = self._export(whole, folder)
        model = folder / self._back_end.main_file
        script = folder / "run.py"
        script.write_text(self._back_end.script(whole), encoding="utf-8")
        sample = folder / "input.npz"
        np.savez(sample, allow_pickle=False, **dict(self._fidelity.feeds[0]))
        about = self.write_about(folder, whole, evaluation)
        return Artifact(
            {"model": model, **files, "script": script, "input": sample, "configuration": about},
            evaluation,
        )

    def _export(self, whole: Configuration, folder: Path) -> dict[str, Path]:
        """Puts the library's files into a folder, whatever else there is; returns them by role."""
        with self._written(whole) as candidate:
            return {
                f"file {path.name}": Path(shutil.move(path, folder / path.name))
                for path in sorted(candidate.folder.iterdir())
            }

    def notes(self) -> tuple[str, ...]:
        """That there is nothing to choose, as in a network that is int8 already."""
        if self._back_end.layers:
            return ()
        said = f"No layer of {self.network.name!r} has a choice"
        return (f"{said}: give the float network, if this one has quantizers already.",)

    def starts(self) -> Iterator[Start]:
        """The default, everything in int8, and as much of it as some signal to noise allows."""
        back_end = self._back_end
        yield Start("default", self.space.default)
        names = [layer.name for layer in back_end.layers]
        everything = self._everything_in_int8
        if everything == self.space.default:
            return
        yield Start("int8", everything)
        found = mixtures(
            {name: self.noise(everything, name) for name in names},
            {name: back_end.work(name) for name in names},
            lambda taken: self._decibels(back_end.in_int8(taken)),
        )
        for label, taken in found:
            if len(taken) < len(names):
                yield Start(label, back_end.in_int8(taken))

    def _decibels(self, configuration: Configuration) -> float:
        """Signal to noise of a configuration, which is not timed; not a number where it fails."""
        try:
            with self._written(configuration) as candidate:
                outputs = self._session.measure(candidate, timed=False).outputs
            return self._fidelity.decibels(outputs)
        except (CompilerError, CompilerCrashError, InaccurateOutputError):
            return math.nan

    def close(self) -> None:
        """Ends the measuring process and removes its files."""
        self._stack.close()
        vars(self).pop("_session", None)
        vars(self).pop("_folder", None)

    @cached_property
    def _everything_in_int8(self) -> Configuration:
        return self._back_end.in_int8([layer.name for layer in self._back_end.layers])

    @cached_property
    def _folder(self) -> Path:
        name = tempfile.mkdtemp(prefix="npu-tune-")
        self._stack.callback(shutil.rmtree, name, ignore_errors=True)
        return Path(name)

    @cached_property
    def _session(self) -> MeasuringSession:
        engine, default = self._back_end.engine, self.space.default
        references = {"reference": default}
        if engine.outlives_fork and self._everything_in_int8 != default:
            references["reference-int8"] = self._everything_in_int8
        setup = MeasuringSetup(
            engine,
            tuple(self._write_reference(*each) for each in references.items()),
            self._fidelity.feeds,
            self._rounds,
            self._folder,
        )
        return self._stack.enter_context(MeasuringSession(setup))

    @contextlib.contextmanager
    def _written(self, configuration: Configuration) -> Iterator[WrittenConfiguration]:
        """The files of a configuration, for as long as they are needed."""
        if not self._folder.is_dir():  # long studies outlive what cleans temporary folders
            self.close()
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as name:
            yield self._write(configuration, Path(name))

    def _write_reference(self, name: str, configuration: Configuration) -> WrittenConfiguration:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)  # from an attempt that the disk was too full for
        return self._write(configuration, folder)

    def _write(self, configuration: Configuration, folder: Path) -> WrittenConfiguration:
        """Writes the files of a configuration.

        Raises:
            WorkerLostError: if that fails, which is no verdict on the configuration.
        """
        try:
            return WrittenConfiguration(folder, self._back_end.write(configuration, folder))
        except OSError as error:
            raise WorkerLostError(
                f"The files of a configuration cannot be written: {error.strerror or error}.",
                remedy=remedy_for(error, "Set TMPDIR to a folder that can be written to."),
            ) from error


def _reduced_share(profile: Mapping[str, Mapping[str, float]]) -> float:
    """The share of the time that layers take which are not in float32."""
    whole = sum(row["ms"] for row in profile.values())
    reduced = sum(row["ms"] for row in profile.values() if row["noise"] > 0.0)
    return reduced / whole if whole > 0.0 else 0.0


def _notes(measurement: Measurement) -> tuple[str, ...]:
    timing = measurement.timing
    if timing is None or timing.wall_share < _BUSY_SHARE:
        return ()
    return (f"Other programs held the processor for {1 - 1 / timing.wall_share:.0%} of the time.",)
