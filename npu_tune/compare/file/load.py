"""Reads comparison files in TOML, validates them key by key, and writes them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from npu_tune.compare.file.config import (
    ComparisonFile,
    ReplaySection,
    first_duplicate,
)
from npu_tune.compare.file.labels import ALL_TARGETS, file_words
from npu_tune.errors import UsageError
from npu_tune.tuning.study_file import chosen_folder, resolved_model, resolved_target
from npu_tune.validation import known_remedy, read_toml, to_toml, validated


class _Titled(Protocol):
    @property
    def title(self) -> str: ...


def load_comparison(path: Path | str) -> ComparisonFile:
    """Reads and validates a comparison file; its relative paths count from its own folder.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    path = Path(path)
    document = read_toml(path, whole="comparison file", kind=UsageError)
    return parse_comparison(document, base=path.resolve().parent, source=str(path), name=path.stem)


def parse_comparison(
    document: dict[str, Any], *, base: Path, source: str = "comparison", name: str = "comparison"
) -> ComparisonFile:
    """Validates the document of a comparison file.

    Args:
        document: the file's tables.
        base: relative paths count from here.
        source: name of the document in errors.
        name: of the comparison, where the document gives none.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    comparison = validated(
        ComparisonFile, document, source=source, whole="comparison file", kind=UsageError
    )
    _require_labels(comparison, source)
    _require_seeds(comparison, source)
    _require_report(comparison, source)
    return _resolve_paths(comparison, base, name)


def comparison_to_toml(comparison: ComparisonFile) -> str:
    """Writes the comparison file as TOML text; :func:`load_comparison` reads it back."""
    return to_toml(comparison)


def _require_labels(comparison: ComparisonFile, source: str) -> None:
    """Checks that labels are unique in tables and in the names of figures."""
    kinds: dict[str, tuple[_Titled, ...]] = {
        "network": comparison.network,
        "target": comparison.target,
        "sampler": comparison.sampler,
        "objective": comparison.objective,
    }
    for kind, entries in kinds.items():
        twice = first_duplicate(entry.title for entry in entries)
        if twice is not None:
            raise UsageError(
                f"{source}: two tables [[{kind}]] are called {twice!r}.",
                remedy="Give one of them a `label` of its own.",
                key=kind,
                value=twice,
            )
    if ALL_TARGETS in (entry.title for entry in comparison.target):
        raise UsageError(
            f"{source}: a target is called {ALL_TARGETS!r}, as tables call all targets together.",
            remedy="Give it another `label`.",
            key="target.label",
            value=ALL_TARGETS,
        )
    for kind in ("target", "objective"):  # figures are named after these
        twice = first_duplicate(file_words([entry.title]).lower() for entry in kinds[kind])
        if twice is not None:
            raise UsageError(
                f"{source}: two tables [[{kind}]] have labels that are both {twice!r} in the names "
                "of figures.",
                remedy="Give them labels that differ in more than punctuation and case, within "
                "40 characters.",
                key=kind,
                value=twice,
            )


def _require_seeds(comparison: ComparisonFile, source: str) -> None:
    """Checks that samplers run with seeds of the comparison only: others have no rival."""
    every = comparison.compare.seeds
    for sampler in comparison.sampler:
        other = next((seed for seed in sampler.seeds or () if seed not in every), None)
        if other is not None:
            raise UsageError(
                f"{source}: the sampler {sampler.title!r} asks for the seed {other}, which is "
                "none of 'compare.seeds'.",
                remedy="Choose among the seeds of [compare], or add it there.",
                key="sampler.seeds",
                value=other,
            )


def _require_report(comparison: ComparisonFile, source: str) -> None:
    budget, report = comparison.compare.evaluations, comparison.report
    beyond = next((number for number in report.checkpoints or () if number > budget), None)
    if beyond is not None:
        raise UsageError(
            f"{source}: the checkpoint {beyond} lies beyond the {budget} evaluations of a run.",
            remedy="Leave it out, or raise 'compare.evaluations'.",
            key="report.checkpoints",
            value=beyond,
        )
    titles = [entry.title for entry in comparison.sampler]
    if report.rival is not None and report.rival not in titles:
        raise UsageError(
            f"{source}: there is no sampler {report.rival!r} to be the rival.",
            remedy=known_remedy(report.rival, titles),
            key="report.rival",
            value=report.rival,
        )


def _resolve_paths(comparison: ComparisonFile, base: Path, name: str) -> ComparisonFile:
    """Makes paths absolute, and fills in name and folder."""
    section = comparison.compare
    name = section.name or name
    replay = comparison.replay
    return comparison.model_copy(
        update={
            "compare": section.model_copy(
                update={
                    "name": name,
                    "folder": chosen_folder(section.folder, name, base, key="compare.name"),
                }
            ),
            "network": tuple(resolved_model(entry, base) for entry in comparison.network),
            "target": tuple(resolved_target(entry, base) for entry in comparison.target),
            "replay": replay and ReplaySection(recorded=base / replay.recorded),
        }
    )
