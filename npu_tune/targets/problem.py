"""Targets, and problems: networks bound to them, with all that is prepared once for both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from npu_tune.closing import Closing
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.about import write_about
from npu_tune.targets.confidence import Confidence
from npu_tune.targets.key import ConfigurationKeys, Identity
from npu_tune.targets.memory import MemoryTimeline
from npu_tune.targets.metrics import Evaluation, Metric, ProfileSchema
from npu_tune.targets.needs import MemoryNeed


@dataclass(frozen=True, slots=True)
class Artifact:
    """A deployable result on disk.

    Args:
        files: path by role; the role ``model`` is the file to deploy.
        evaluation: the exact metrics of what was built.
        needs: memory that the device has to provide; empty where nothing is known.
        remarks: what whoever deploys it should know, in paragraphs of Markdown.
    """

    files: Mapping[str, Path]
    evaluation: Evaluation
    needs: tuple[MemoryNeed, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """A configuration worth trying early, with the reason in its label."""

    label: str
    configuration: Configuration


@runtime_checkable
class Target(Protocol):
    """A compiler and its hardware. Implementations are picklable values.

    A target holds no state: what is prepared for a network lives in the problem that
    :meth:`bind` makes.
    """

    @property
    def name(self) -> str:
        """As a person types it, such as ``ethos-u55-128``."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The numbers an evaluation reports."""

    def bind(self, network: Network) -> Problem:
        """Makes a problem of a network, which the caller closes.

        Raises:
            ModelError: where the network is not fit for this target, with the reason.
                ModelFormatError says that this target reads no such files; an ONNX network is
                then made int8 TFLite and bound again.
        """

    def fingerprint(self) -> Mapping[str, str]:
        """Everything beside network and configuration that an evaluation depends on."""


@runtime_checkable
class CalibratedTarget(Target, Protocol):
    """A target that makes int8 of a float network itself, by typical inputs."""

    def calibrated(self, arrays: Mapping[str, NDArray[Any]]) -> Target:
        """The target with typical inputs.

        Args:
            arrays: one per input of the network, samples first.
        """


class Problem(Closing):
    """A network bound to a target; made by :meth:`Target.bind`.

    Whatever is prepared once per network - a compiler's front end, a session, a connection to a
    board - lives in the problem and is released by :meth:`close`. It is bound where it is used: a
    worker process binds the target and the network that it was sent. Whoever binds a problem
    closes it, best in a ``with`` statement.

    A subclass defines ``space`` and :meth:`evaluate`; everything else has a default.

    Args:
        target: what is compiled for.
        network: what is compiled.

    Attributes:
        profile: what the columns of evaluations' profiles mean.
        reports_profiles: whether evaluations have profiles, which samplers learn from.
        deterministic: True where the same configuration always gets the same evaluation. A
            measured problem says False: its evaluations are samples, repeated on request.
        most_workers: evaluations at a time on one machine beyond which they only wait for one
            another; None for any number.
    """

    profile: ProfileSchema = ProfileSchema()
    reports_profiles: bool = True
    deterministic: bool = True
    most_workers: int | None = None

    def __init__(self, target: Target, network: Network) -> None:
        self.target = target
        self.network = network

    @property
    @abstractmethod
    def space(self) -> SearchSpace:
        """What may be chosen for each layer, in execution order; the same object every time."""

    @abstractmethod
    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        """Compiles and costs one configuration.

        Args:
            configuration: or a mapping of some values, the others at their defaults; see
                :meth:`npu_tune.space.SearchSpace.complete`.

        Raises:
            EvaluationError: where it cannot be compiled.
        """

    def evaluate_some(
        self, configuration: Mapping[str, Value], metrics: Collection[str]
    ) -> Evaluation:
        """The same evaluation, which may leave out metrics on request; by default it leaves none.

        Args:
            configuration: as of :meth:`evaluate`.
            metrics: names of those that are needed. All that is reported is what
                :meth:`evaluate` reports, and where one fails the other fails too.

        Raises:
            EvaluationError: where it cannot be compiled.
        """
        del metrics
        return self.evaluate(configuration)

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        """Writes what is deployed into ``folder``; its metrics are those of an evaluation.

        By default that is ``configuration.json`` alone: the configuration, its metrics and what
        they depend on. Raises EvaluationError or OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        evaluation = self.evaluate(configuration)
        about = self.write_about(folder, configuration, evaluation)
        return Artifact({"model": about}, evaluation)

    def write_about(
        self, folder: Path, configuration: Mapping[str, Value], evaluation: Evaluation
    ) -> Path:
        """Writes ``configuration.json`` beside what was built; see :mod:`.about`."""
        return write_about(
            folder,
            identity=self.identity,
            network_name=self.network.name,
            metrics=self.metrics,
            configuration=self.space.complete(configuration),
            default=self.space.default,
            evaluation=evaluation,
            confidence=self.confidence,
        )

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline | None:
        """What lies in memory while a configuration runs; None, the default, where nobody can tell.

        Args:
            configuration: as of :meth:`evaluate`.

        Raises:
            EvaluationError: where it cannot be compiled.
        """
        del configuration
        return None

    def starts(self) -> Iterable[Start]:
        """Configurations worth evaluating before the search, best guesses first.

        Each is asked for when there is a worker for it, so that one that takes long to find may
        be found late. The order is the same every time.
        """
        return ()

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the network on this target before anything is chosen."""
        return ()

    def references(self) -> Mapping[str, Mapping[str, float]]:
        """Metrics of yardsticks that are no configurations of the space, by label."""
        return {}

    def rivals(
        self, cost: Callable[[Mapping[str, float]], float]
    ) -> Mapping[str, Mapping[str, float]]:
        """The best that the vendor makes of the network in other ways, asked when a study ends.

        Like :meth:`references`, but for what takes too long to find before the first trial.

        Args:
            cost: of metrics on the study's scale; infinite where a limit is missed.

        Returns:
            metrics by label; nothing where no rival meets the limits.
        """
        del cost
        return {}

    @property
    def confidence(self) -> Confidence | None:
        """How far simulated numbers can be trusted for this network; None where that is not asked."""
        return None

    def close(self) -> None:
        """Releases whatever the problem holds; by default there is nothing."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What :meth:`evaluate` reports."""
        return self.target.metrics

    @cached_property
    def identity(self) -> Identity:
        """What makes this problem the same as another one."""
        return Identity(self.network.digest, self.target.name, dict(self.target.fingerprint()))

    @cached_property
    def keys(self) -> ConfigurationKeys:
        """Makes the keys of configurations."""
        return ConfigurationKeys(self.identity, self.space)

    def key(self, configuration: Mapping[str, Value]) -> str:
        """The key under which the evaluation of a configuration is known everywhere.

        It is the same for configurations that come to the same effective one, and for no others:
        ledger, store, workers, exports and comparisons all go by it.
        """
        return self.keys.key(self.space.complete(configuration))
