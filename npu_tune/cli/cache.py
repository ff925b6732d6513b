"""``npu-tune cache``: looks into the evaluations that studies share, verifies or removes them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.tune import quiet_option
from npu_tune.errors import StorageError, UsageError

if TYPE_CHECKING:
    from npu_tune.evaluation.cache import Cache
    from npu_tune.tuning.cache_check import CachedProblem, Verified

_OF = {"sample": "verify", "seed": "verify", "target": "verify and clear", "older_than": "clear"}
"""By option, the actions that it belongs to."""

DEFAULT_SAMPLE = 20


@click.command(short_help="Looks into the evaluations that studies share.")
@click.argument("action", type=click.Choice(["info", "verify", "clear"]))
@click.option(
    "--cache",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Another cache than the user's.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    help=f"verify: how many evaluations of each problem are made again. [default: {DEFAULT_SAMPLE}]",
)
@click.option("--seed", type=int, help="verify: of the random sample. [default: 0]")
@click.option("--target", help="verify, clear: only what is of this target.")
@click.option(
    "--older-than",
    metavar="TIME",
    help="clear: only what was not used for such as 12h or 720h.",
)
@quiet_option
@print_result
def cache(action: str, folder: Path | None, *, quiet: bool, **given: Any) -> CommandResult:
    """Tells what the cache holds (info), makes some of it again (verify) or removes it (clear)."""
    from npu_tune.evaluation.cache import (  # noqa: PLC0415 -- keeps --help fast
        FOLDER_VARIABLE,
        default_cache,
        named_cache,
    )
    from npu_tune.tuning.cache_check import cached_problems  # noqa: PLC0415

    for option, value in given.items():
        if value is not None and action not in _OF[option]:
            name = option.replace("_", "-")
            raise UsageError(
                f"--{name} says nothing to `npu-tune cache {action}`.",
                remedy=f"It belongs to {_OF[option]}.",
            )
    chosen = default_cache() if folder is None else named_cache(folder.absolute())
    if chosen is None:
        raise UsageError(
            f"There is no cache: the environment variable {FOLDER_VARIABLE} is empty.",
            remedy="Name one with --cache.",
        )
    if action == "verify":
        return _verify(chosen, given, quiet=quiet)
    if action == "clear":
        return _clear(chosen, given)
    problems = cached_problems(chosen)
    return CommandResult(_document(chosen, action, problems), _info_text(chosen, problems))


def _verify(chosen: Cache, given: dict[str, Any], *, quiet: bool) -> CommandResult:
    from npu_tune.tuning.cache_check import verify_cache  # noqa: PLC0415 -- keeps --help fast

    def tell(what: str) -> None:
        if not quiet:
            print(f"verifying {what} ...", file=sys.stderr, flush=True)

    sample, seed = given["sample"] or DEFAULT_SAMPLE, given["seed"] or 0
    done = list(verify_cache(chosen, sample=sample, seed=seed, target=given["target"], tell=tell))
    different = sum(len(each.differences) for each in done)
    document = _document(chosen, "verify", [each.problem for each in done]) | {
        "sample": sample,
        "seed": seed,
        "verified": [_verified(each) for each in done],
    }
    error = StorageError(
        f"{different} evaluations of the cache {chosen.folder} differ from what they are now, and "
        "are dropped.",
        remedy="Clear the cache if its disk is in doubt; if it is not, a compiler changed without "
        "its version.",
        differences=different,
    )
    return CommandResult(document, _verify_text(done), error if different else None)


def _clear(chosen: Cache, given: dict[str, Any]) -> CommandResult:
    from npu_tune.quantities import parse_duration_s  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.cache_check import cached_problems, clear_cache  # noqa: PLC0415

    age = given["older_than"]
    before = None if age is None else time.time() - parse_duration_s(age)
    removed, freed = clear_cache(chosen, target=given["target"], before=before)
    document = _document(chosen, "clear", cached_problems(chosen)) | {
        "removed": removed,
        "freed_bytes": freed,
    }
    return CommandResult(document, f"Removed {removed:,} evaluations, {_size(freed)}.")


def _document(chosen: Cache, action: str, problems: Sequence[CachedProblem]) -> dict[str, Any]:
    return {
        "action": action,
        "folder": str(chosen.folder),
        "limit_bytes": chosen.most_bytes,
        "size_bytes": sum(each.size_bytes for each in chosen.files()),
        "problems": [
            {
                "file": each.file.path.name,
                "model": each.model or None,
                "target": each.target,
                "evaluations": each.evaluations,
                "size_bytes": each.file.size_bytes,
                "used": each.file.used,
                "trouble": each.trouble or None,
            }
            for each in problems
        ],
    }


def _verified(each: Verified) -> dict[str, Any]:
    return {
        "file": each.problem.file.path.name,
        "checked": each.checked,
        "skipped": each.skipped or None,
        "differences": [
            {"key": d.key, "changes": dict(d.changes), "kept": d.kept, "found": d.found}
            for d in each.differences
        ],
    }


def _info_text(chosen: Cache, problems: Sequence[CachedProblem]) -> str:
    from npu_tune.report.tables import table  # noqa: PLC0415 -- keeps --help fast

    size = sum(each.file.size_bytes for each in problems)
    total = sum(each.evaluations for each in problems)
    head = (
        f"{chosen.folder}\n{total:,} evaluations of {len(problems)} problems, {_size(size)} of "
        f"{_size(chosen.most_bytes)}"
    )
    rows = [
        [
            each.model or each.file.path.name,
            each.target,
            f"{each.evaluations:,}",
            _size(each.file.size_bytes),
            time.strftime("%Y-%m-%d", time.localtime(each.file.used)),
        ]
        for each in problems
    ]
    if not rows:
        return head
    header = ["model", "target", "evaluations", "size", "last used"]
    troubles = [f"{p.file.path.name}: {p.trouble}" for p in problems if p.trouble]
    return "\n".join([head, "", table(header, rows, left=2, wrapped=(0,)), *troubles])


def _verify_text(done: Sequence[Verified]) -> str:
    lines = []
    for each in done:
        named = f"{each.problem.model or each.problem.file.path.name} on {each.problem.target}"
        if each.skipped:
            lines.append(f"{named}: not checked, as {each.skipped}.")
            continue
        outcome = f"{len(each.differences)} differ" if each.differences else "all equal"
        lines.append(f"{named}: {each.checked} checked, {outcome}.")
        lines += [f"  {d.key}: {d.kept} was kept, and is {d.found}" for d in each.differences]
    return "\n".join(lines) or "There is nothing to verify."


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"
