"""A network on one Neural-ART, compiled and simulated again and again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.space import NETWORK_SCOPE, Configuration, SearchSpace, Value
from npu_tune.targets.confidence import Confidence
from npu_tune.targets.garbage import no_collection
from npu_tune.targets.memory import MemoryTimeline
from npu_tune.targets.metrics import Evaluation, ProfileSchema, default_objective
from npu_tune.targets.neural_art.confidence import confidence_of
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.evaluation import METRICS, evaluation_of
from npu_tune.targets.neural_art.needs import memory_needs
from npu_tune.targets.neural_art.program import program_document
from npu_tune.targets.neural_art.timeline import memory_timeline
from npu_tune.targets.neural_art.vendor import best_setting
from npu_tune.targets.oracle import Bound, Front, Progress
from npu_tune.targets.problem import Artifact, Problem, Start, Target
from npu_tune.validation import option_name

SIMULATED = (
    "Everything here is simulated, and most of what is chosen has no switch in the vendor's tools: "
    "not for flashing. -O deployable=true offers what can be carried over, and exports files for it."
)


class NeuralArtProblem(Problem):
    """A network on a model of the accelerator; it knows its optima too (:class:`.Oracle`).

    Args:
        target: what is compiled for.
        network: what is compiled.
        compiler: of this network for this target.
        free: makes the problem over every choice, where this one is restricted to what the vendor's
            tools take, and builds files for them; None where it is not.
    """

    profile = ProfileSchema(
        group="epoch",
        causes={
            "units_cycles": "compute",
            "ram_cycles": "RAM",
            "flash_cycles": "flash",
            "wait_cycles": "preloading",
            "fixed_cycles": "fixed cost",
        },
    )

    def __init__(
        self,
        target: Target,
        network: Network,
        compiler: NetworkCompiler,
        *,
        free: Callable[[], NeuralArtProblem] | None = None,
    ) -> None:
        super().__init__(target, network)
        self.compiler = compiler
        self._free = free

    @cached_property
    def confidence(self) -> Confidence:
        """By the network's default, on the hardware that may be chosen."""
        compiler = self.compiler
        run = compiler.run(compiler.space.default)
        return confidence_of(run, compiler.every_hardware(), rule=compiler.rule)

    @property
    def space(self) -> SearchSpace:
        """Network-wide knobs, those of the hardware that are explored, and those of each layer."""
        return self.compiler.space

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        """Compiles and simulates one configuration."""
        compiler = self.compiler
        whole = compiler.space.complete(configuration)
        with no_collection():
            return evaluation_of(compiler.run(whole), compiler.hardware(whole))

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline:
        """Where the compiler places maps and weights in the pools of RAM, epoch by epoch."""
        with no_collection():
            return memory_timeline(self.compiler.run(self.space.complete(configuration)))

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        """Writes the compiled program as JSON, the configuration and its metrics.

        With the option ``deployable`` also the files that the vendor's tools take.
        """
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.space.complete(configuration)
        hardware = self.compiler.hardware(whole)
        run = self.compiler.run(whole)
        evaluation = evaluation_of(run, hardware)
        name = self.target.name
        document = {"network": self.network.name, "target": name, "rule": self.compiler.rule}
        program = folder / f"{self.network.name}_{name}.json"
        program.write_text(
            json.dumps(document | program_document(run, hardware), indent=2) + "\n",
            encoding="utf-8",
        )
        about = self.write_about(folder, whole, evaluation)
        files = {"model": program, "configuration": about}
        if self._free is not None:
            from npu_tune.targets.neural_art.deploy import (  # noqa: PLC0415 -- loads onnx
                vendor_options,
                write_deployable,
            )

            written = write_deployable(
                folder,
                self.network,
                run,
                hardware,
                vendor_options(whole),
                metrics=evaluation.metrics,
                settings=self.compiler.vendor_settings,
            )
            files = {**written, "configuration": about, "program": program}
        needs = memory_needs(run, hardware, flash_bytes=evaluation.metrics["flash_bytes"])
        return Artifact(files, evaluation, needs)

    def notes(self) -> tuple[str, ...]:
        """That nothing of it can be flashed, where that is so."""
        return (SIMULATED,) if self._free is None else ()

    def starts(self) -> Iterator[Start]:
        """The default, and what is planned; see :mod:`.plan`."""
        from npu_tune.targets.neural_art.plan import planned_starts  # noqa: PLC0415 -- seldom asked

        return planned_starts(self.compiler)

    def rivals(
        self, cost: Callable[[Mapping[str, float]], float]
    ) -> Mapping[str, Mapping[str, float]]:
        """The best network-wide setting that the vendor's compiler has, in the model."""
        best = best_setting(self.compiler.vendor_settings, cost)
        if best is None:
            return {}
        return {f"best network-wide setting ({best.options})": best.metrics}

    def front(
        self,
        *,
        objectives: Sequence[str] = (),
        base: Configuration | None = None,
        tolerance: float = 0.0,
        most_labels: int | None = None,
        progress: Progress | None = None,
    ) -> Front:
        """The optima over all choices of layers; see :mod:`.front`."""
        from npu_tune.targets.neural_art.front import exact_front  # noqa: PLC0415 -- seldom asked

        if self._free is not None:
            raise TargetError(
                "There is no exact front over what is deployable, whose layers choose stripes alone.",
                remedy=f"Leave {option_name('deployable')} out, or take the bound.",
            )

        return exact_front(
            self.compiler,
            rule=self.compiler.rule,
            objectives=tuple(objectives) or default_objective(METRICS),
            base=base,
            tolerance=tolerance,
            most_labels=most_labels,
            progress=progress,
        )

    def bases(self) -> tuple[Configuration, ...]:
        """All choices of the whole network but thresholds of splitting; see :mod:`.front`."""
        from npu_tune.targets.neural_art.front import bases  # noqa: PLC0415 -- seldom asked

        return bases(self.space)

    def bound(self, *, base: Configuration | None = None) -> Bound:
        """What no configuration falls below, whatever layers choose; see :mod:`.front`.

        What is deployable is also free to choose, so that the bound over every choice holds for it.
        """
        from npu_tune.targets.neural_art.front import lower_bound  # noqa: PLC0415 -- seldom asked

        if self._free is not None:
            with self._free() as free:
                shared = {
                    name: value
                    for name, value in (base or self.space.default).items()
                    if name in free.space.by_name and name.startswith(f"{NETWORK_SCOPE}/")
                }
                return free.bound(base=free.space.configuration(shared))
        return lower_bound(self.compiler, rule=self.compiler.rule, base=base)

    def close(self) -> None:
        """Releases what is remembered of configurations."""
        self.compiler.forget()
