"""``README.md``: the exported folder in words, for whoever takes it over."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from npu_tune.numerals import format_ratio, format_value
from npu_tune.report.export.study import FOLDER, PortableStudy
from npu_tune.report.references import compare_with_references, stated_metrics
from npu_tune.report.stretches import stretch_lines
from npu_tune.report.verdict import beats_line, in_return_line
from npu_tune.targets import Artifact, MemoryNeed
from npu_tune.tuning.records import StudyResult, TrialRecord

ABOUT_ROLES = {
    "model": "what is deployed",
    "configuration": "the configuration, its metrics and what they depend on",
    "vendor_layers": "the compiler's own table per layer, of this very compilation",
    "vendor_summary": "the compiler's own summary of it",
    "annotated": "the network as it was given, with the figures in it, to look at in Netron",
    "netron": "the same figures, to be opened in Netron after a TFLite model",
    "layers": "every layer before and after: columns of the profile, what bounds it, knobs changed",
    "study": "the study, to make all of this again",
    "trials": "its trials, by which `npu-tune verify` makes this folder once more",
    "export": "what is on this page, for programs; study, trial and command of every file",
    "readme": "this page",
    "report": "the study as a page for a browser",
    "page": "how to carry it over to the vendor's tools",
    "program": "the compiled program, as it was simulated",
    "pools": "the memories, for the vendor's tools",
    "profile": "the options, for the vendor's tools",
    "rewriting": "which layers were cut into stripes in the model",
    "script": "loads the model and prints outputs and the median time",
    "input": "an input for the script",
    "checksums": "`sha256sum --check SHA256SUMS` holds the files against it",
}
"""What a file is for, by role; others are the target's own."""


def readme_text(
    result: StudyResult,
    trial: TrialRecord,
    artifact: Artifact,
    files: Mapping[str, str],
    *,
    again: PortableStudy,
    versions: Mapping[str, str | None],
) -> str:
    """The page as Markdown.

    Args:
        result: of the study.
        trial: that was built.
        artifact: what the target built of it.
        files: every file's path in the folder by role.
        again: the study, as it stands in the folder.
        versions: of npu-tune and of what decides its figures.
    """
    parts = [
        f"# {result.model} for {result.target}",
        *_verdict(result, trial),
        _figures(result, artifact),
        *_notes(result, trial),
        *_memory(artifact.needs),
        *_remarks(artifact),
        "## The files",
        _table(("file", "role", ""), _file_rows(files)),
        "## Make it again",
        *_again(result, trial, again),
        "## Where it comes from",
        _table(("", ""), _origin_rows(result, trial, versions)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(result: StudyResult, trial: TrialRecord) -> Iterator[str]:
    cost = "" if trial.cost is None else f" It costs {trial.cost:.4f}, the baseline 1."
    yield f"Trial {trial.number} of the study *{result.name}*, built by npu-tune.{cost}"
    if not trial.feasible:
        missed = ", ".join(name for name, beyond in trial.violations.items() if beyond > 0)
        yield f"**It does not meet the limits of the study: {missed}.**"
    references = compare_with_references(result, trial)
    sentences = (beats_line(references, stated_metrics(result)), in_return_line(result, trial))
    if said := " ".join(filter(None, sentences)):
        yield said


def _figures(result: StudyResult, artifact: Artifact) -> str:
    built = artifact.evaluation.metrics
    baseline = {} if result.baseline is None else result.baseline.metrics
    others = {"baseline": baseline, **result.references}
    header = ("metric", "kind", "this", "of the baseline", *others)
    rows = [
        (
            f"`{m.name}`",
            f"*{m.kind}*",
            format_value(built[m.name], m.unit),
            format_ratio(built[m.name], baseline.get(m.name, 0.0)),
            *(
                format_value(each[m.name], m.unit) if m.name in each else "-"
                for each in others.values()
            ),
        )
        for m in result.metrics
        if m.name in built
    ]
    return _table(header, rows, right_from=2)


def _notes(result: StudyResult, trial: TrialRecord) -> Iterator[str]:
    if result.confidence is not None:
        yield result.confidence.sentence
    yield from dict.fromkeys([*result.notes, *trial.notes])


def _memory(needs: tuple[MemoryNeed, ...]) -> Iterator[str]:
    if not needs:
        return
    yield "## Memory that it needs"
    rows = [(need.name, need.memory, f"{need.size_bytes:,}") for need in needs]
    yield _table(("what", "where", "bytes"), rows, right_from=2)
    yield "\n".join(f"- *{need.name}*: {need.counted}" for need in needs)
    left_out = dict.fromkeys(each for need in needs for each in need.left_out)
    if left_out:
        yield "Not counted:"
        yield "\n".join(f"- {each}" for each in left_out)


def _remarks(artifact: Artifact) -> Iterator[str]:
    if artifact.remarks:
        yield "## How it was made"
        yield from artifact.remarks


def _file_rows(files: Mapping[str, str]) -> list[tuple[str, ...]]:
    by_path: dict[str, list[str]] = {}
    for role, path in files.items():
        by_path.setdefault(path, []).append(role)
    return [
        (f"`{path}`", ", ".join(roles), next(filter(None, map(ABOUT_ROLES.get, roles)), ""))
        for path, roles in sorted(by_path.items())
    ]


def _again(result: StudyResult, trial: TrialRecord, again: PortableStudy) -> Iterator[str]:
    folder = shlex.quote(f"{FOLDER}/{again.file.name}")
    yield "`npu-tune verify` on this folder makes it once more and compares every file:"
    yield _block("sh", "npu-tune verify .")
    yield "The study, and this trial of it:"
    yield _block(
        "sh",
        f"npu-tune run {FOLDER}/study.toml\n"
        f"npu-tune export {folder} --pick {trial.number} --out DIR",
    )
    if again.missing:
        beside = ", ".join(f"`{n}` (SHA-256 `{d}`)" for n, d in again.missing.items())
        yield f"Beside `{FOLDER}/study.toml` must stand what the target names: {beside}."
    if result.deterministic:
        yield (
            "Trials have the same numbers where one evaluation runs at a time; several finish in "
            "another order. The configuration alone is enough to build the same files:"
        )
    else:
        yield (
            "Evaluations are measured and differ from one another, and so may trials. The "
            "configuration alone is enough to build it:"
        )
    yield _block("python", _script(again))


def _script(again: PortableStudy) -> str:
    beside = {name: f"{FOLDER}/{name}" for name in again.missing}
    options = {
        key: beside.get(value, value) if isinstance(value, str) else value
        for key, value in again.file.target.options.items()
    }
    more = f", options={options!r}" if options else ""
    if again.file.model.calibration is not None:
        more += f', calibration="{FOLDER}/{again.file.model.calibration}"'
    model = f"{FOLDER}/{again.model}" if again.model in again.copies else again.model
    return (
        "import json\n"
        "from pathlib import Path\n\n"
        "import npu_tune\n\n"
        'chosen = json.loads(Path("configuration.json").read_text())["configuration"]\n'
        f"with npu_tune.bind({json.dumps(model)}, {json.dumps(again.file.target.name)}{more}) "
        "as problem:\n"
        '    problem.build(chosen, Path("DIR"))'
    )


def _origin_rows(
    result: StudyResult, trial: TrialRecord, versions: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    yield "study", f"{result.name}, trial {trial.number} ({trial.origin})"
    for each in result.searches:
        options = "".join(f", {name} = {value}" for name, value in each.options.items())
        yield (
            f"sampler from trial {each.first_trial} on",
            f"{each.sampler}, seed {each.seed}{options}",
        )
    yield from stretch_lines(result)
    yield "model", f"{result.model}, SHA-256 `{result.identity.model_sha256}`"
    yield "target", result.target
    yield from result.identity.fingerprint.items()
    yield from ((name, found) for name, found in versions.items() if found)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right_from: int | None = None
) -> str:
    """Rows as a table of Markdown; columns from ``right_from`` on are flush right."""
    left = len(header) if right_from is None else right_from
    rule = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in (header, rule, *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
