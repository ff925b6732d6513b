"""Studies from end to end: run or resume one, read one."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import (
    EvaluationError,
    ModelFormatError,
    NpuTuneWarning,
    StorageError,
    UsageError,
)
from npu_tune.network import Network
from npu_tune.space import SearchSpace, to_distributions, to_params
from npu_tune.targets import Start, Target, load_target
from npu_tune.tuning.attributes import (
    ELAPSED,
    KEY,
    own_trials,
    study_attributes,
    study_result,
    trial_records,
)
from npu_tune.tuning.cache import SCHEMA_VERSION, EvaluationKeys, KnownTrials
from npu_tune.tuning.executors import Executor
from npu_tune.tuning.executors.evaluate import quiet
from npu_tune.tuning.executors.factory import make_executor
from npu_tune.tuning.folder import (
    is_study_folder,
    make_study_folder,
    read_study_folder,
    write_study_folder,
)
from npu_tune.tuning.identity import STUDY, require_same_study, study_identity
from npu_tune.tuning.ledger import Ledger, open_ledger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.progress import Listener, ProgressMeter
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.runner import Budget, Problem, Runner
from npu_tune.tuning.samplers import SamplerContext, make_sampler, require_layers
from npu_tune.tuning.sections import ModelSection, SamplerSection, StudyFile
from npu_tune.tuning.signals import StopRequest, stop_on_signals

_PLANNED = "evaluations_planned"
_STOPPED = "stopped"
_AGAIN = "baseline_again"


def run_study(
    study: StudyFile,
    *,
    network: Network | None = None,
    target: Target | None = None,
    listener: Listener | None = None,
) -> StudyResult:
    """Runs a study, or resumes it where its ledger has trials already.

    The first SIGINT or SIGTERM lets what is running finish and ends the study; a second one
    raises KeyboardInterrupt. Everything that finished is kept either way.

    Args:
        study: what to do.
        network: instead of the one the study names.
        target: instead of the one the study names.
        listener: is told of the progress.

    Raises:
        UsageError: if the study asks for what target or sampler do not have.
        ModelError: if the model is not fit for the target.
        TargetError: if the target or one of its options is unknown.
        StudyMismatchError: if the ledger belongs to another model, target or objective.
        EvaluationError: if the default configuration cannot be evaluated.
        StorageError: if the ledger cannot be written.
        ExecutorError: if the workers cannot be started, or are all lost.
    """
    target = target or load_target(study.target.name, study.target.options)
    network = network or load_study_network(study.model, target)
    target.check(network)
    with stop_on_signals() as stop:
        session = _Session(study, network, target, stop, listener)
        return session.run()


def read_study(folder: Path | str) -> StudyResult:
    """Reads a study from its folder, also while it runs.

    Raises:
        UsageError: if there is no study in the folder.
        StorageError: if its ledger cannot be read, or holds nothing yet.
    """
    study = read_study_folder(Path(folder))
    with open_ledger(
        study.storage, name=study.name, directions=(), create=False, read_only=True
    ) as ledger:
        return _result(ledger)


def load_study_network(section: ModelSection, target: Target) -> Network:
    """The network a study names; ONNX is made int8 TFLite where the target does not read it.

    Raises:
        ModelError: if the model is no good, or not fit for the target.
        UsageError: if there are calibration data for a model that is quantised already.
    """
    # Reading models brings in onnx, which is slow to import.
    from npu_tune.network import (  # noqa: PLC0415
        is_built_in,
        load_calibration,
        load_network,
        to_int8,
        zoo_network,
    )

    if section.calibration is None and is_built_in(section.path):
        network = zoo_network(section.path, format="onnx")
        # The zoo quantises its networks with inputs of its own.
        return network if _reads(target, network) else load_network(section.path)
    network = load_network(section.path)
    if section.calibration is not None:
        require_calibratable(network, section.calibration)
    if network.format != "onnx":
        return network
    if section.calibration is not None:
        return to_int8(network, calibration=load_calibration(section.calibration, network))
    return network if _reads(target, network) else to_int8(network)


def _reads(target: Target, network: Network) -> bool:
    """False for a network in a format that the target does not read.

    Raises:
        ModelError: for a network that the target reads and refuses.
    """
    try:
        target.check(network)
    except ModelFormatError:
        return False
    return True


def require_calibratable(network: Network, calibration: Path) -> None:
    """Sees that calibration data are of use.

    Raises:
        UsageError: for a network that is not made int8 because it is TFLite already.
    """
    if network.format != "onnx":
        raise UsageError(
            f"{network.name!r} is a TFLite network, for which calibration data are of no use.",
            remedy="Leave them out, or give the float ONNX file.",
            calibration=str(calibration),
        )


class _Session:
    """One run of a study: everything that is made once and then handed to the runner."""

    def __init__(
        self,
        study: StudyFile,
        network: Network,
        target: Target,
        stop: StopRequest,
        listener: Listener | None,
    ) -> None:
        self._study = study
        self._network = network
        self._target = target
        self._stop = stop
        self._listener = listener
        with quiet():
            self._space = target.space(network)
        self._objective = Objective.of(study.objective, study.limits, target.metrics)

    def run(self) -> StudyResult:
        study, objective = self._study, self._objective
        # What the folder of a study names may have been the default, which copes.
        if "name" in study.sampler.model_fields_set and not is_study_folder(study.folder):
            require_layers(study.sampler.name, self._space)
        search = new_search(
            study.sampler,
            seed=study.study.seed,
            space=self._space,
            objective=objective,
            evaluations=study.study.budget,
        )
        make_study_folder(study)
        with open_ledger(
            study.storage,
            name=study.name,
            directions=objective.study_directions,
            metric_names=tuple(objective.weights) if objective.pareto else ("cost",),
        ) as ledger:
            self._claim(ledger)
            write_study_folder(study, self._network)
            with make_executor(study.executor, self._target, self._network) as executor:
                self._search(ledger, search, executor)
            return _result(ledger)

    def _claim(self, ledger: Ledger) -> None:
        """Makes the ledger this study's, or sees that it already is."""
        identity = study_identity(self._network, self._target, self._space, self._objective)
        if not require_same_study(ledger, identity):
            about = study_attributes(
                model=self._network.name,
                metrics=self._target.metrics,
                default=self._space.default,
                references=_references(self._target, self._network),
            )
            ledger.set_attribute(STUDY, identity | about)
        ledger.set_attribute(_PLANNED, self._study.study.budget)
        ledger.set_attribute(_STOPPED, None)

    def _search(self, ledger: Ledger, search: SearchStudy, executor: Executor) -> None:
        section, trials = self._study.study, own_trials(ledger.trials())
        earlier = trial_records(trials, default=self._space.default, objective=self._objective)
        search.add(trials)
        meter = ProgressMeter(
            self._objective,
            evaluations=section.budget,
            wall_time_s=section.wall_time,
            elapsed_s=max((t.user_attrs.get(ELAPSED, 0.0) for t in trials), default=0.0),
        )
        for record in earlier:
            meter.count(record, earlier=True)
        runner = Runner(
            self._problem(),
            search=search,
            earlier=earlier,
            known=KnownTrials(zip((t.user_attrs[KEY] for t in trials), earlier, strict=True)),
            ledger=ledger,
            executor=executor,
            budget=Budget(section.budget, section.duplicates_in_a_row),
            meter=meter,
            stop=self._stop,
            listener=self._listener,
        )
        evaluations_before = meter.evaluations
        reason = runner.run()
        is_new = meter.evaluations > evaluations_before or not ledger.attributes().get(_AGAIN)
        if reason != "interrupted" and is_new:
            again = runner.evaluate_baseline_again()
            ledger.set_attribute(_AGAIN, dict(again) if again is not None else None)
        ledger.set_attribute(_STOPPED, reason)

    def _problem(self) -> Problem:
        target, network = self._target, self._network
        keys = EvaluationKeys(network.digest, target.name, target.fingerprint(), self._space)
        return Problem(self._space, self._objective, keys, partial(target_starts, target, network))


def new_search(
    section: SamplerSection,
    *,
    seed: int,
    space: SearchSpace,
    objective: Objective,
    evaluations: int | None = None,
) -> SearchStudy:
    """An Optuna study in memory with the sampler that a section asks for.

    Args:
        section: names the sampler.
        seed: the study's.
        space: what is searched.
        objective: what is optimised.
        evaluations: the budget, for samplers that plan ahead; None where there is none.

    Raises:
        UsageError: if the sampler is unknown or refuses its options.
        MissingExtraError: if the sampler needs an extra that is not installed.
    """
    directions = objective.study_directions
    distributions = to_distributions(space)
    # What has one value only cannot be changed, so trials beside the baseline must not try to.
    default = to_params(space, space.default).items()
    baseline = {name: value for name, value in default if not distributions[name].single()}
    context = SamplerContext(
        seed, space.layers, baseline, evaluations=evaluations, objectives=len(directions)
    )
    sampler = make_sampler(section.name, section.options, context=context)
    return SearchStudy(sampler, directions, distributions)


def target_starts(target: Target, network: Network) -> tuple[Start, ...]:
    """The target's own proposals; none, with a warning, where it cannot make any."""
    try:
        with quiet():
            return target.starts(network)
    except EvaluationError as error:
        warnings.warn(
            f"The search begins without the target's proposals: {error}",
            NpuTuneWarning,
            stacklevel=2,
        )
        return ()


def _references(target: Target, network: Network) -> dict[str, dict[str, float]]:
    try:
        with quiet():
            rows = target.references(network)
    except EvaluationError as error:
        warnings.warn(
            f"The target's reference figures are missing: {error}", NpuTuneWarning, stacklevel=2
        )
        return {}
    return {label: {name: float(v) for name, v in row.items()} for label, row in rows.items()}


def _result(ledger: Ledger) -> StudyResult:
    attributes: dict[str, Any] = ledger.attributes()
    about = attributes.get(STUDY)
    if about is None:
        raise StorageError(
            f"The study {ledger.name!r} holds nothing yet.", remedy="Wait until it has begun."
        )
    if about.get("schema_version") != SCHEMA_VERSION:
        raise StorageError(
            f"The study {ledger.name!r} was written by another version of npu-tune.",
            remedy="Read it with that version.",
            schema_version=about.get("schema_version"),
        )
    return study_result(
        ledger.name,
        about,
        ledger.trials(),
        evaluations_planned=attributes.get(_PLANNED),
        stopped=attributes.get(_STOPPED),
        baseline_again=attributes.get(_AGAIN),
    )
