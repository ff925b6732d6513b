"""The runs of a study, in words and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.stretches import Stretch

_FIRST_SHOWN, _LAST_SHOWN = 3, 7
"""Of a study of many runs so many of the first and of the last are shown."""


def stretch_lines(result: StudyResult) -> Iterator[tuple[str, str]]:
    """By run, its trials and all that is known of it, in words; of many those in between are counted."""
    found = [each for each in result.stretches if each.is_known]
    left_out = len(found) - _FIRST_SHOWN - _LAST_SHOWN
    for place, each in enumerate(found):
        if place == _FIRST_SHOWN and left_out > 0:
            yield f"{left_out} more runs", f"up to trial {found[-_LAST_SHOWN].first_trial - 1}"
        if _FIRST_SHOWN <= place < len(found) - _LAST_SHOWN:
            continue
        earlier = found[place - 1] if place else None
        yield f"run {place + 1}, {_trials(each)}", _about(each, earlier, is_last=each is found[-1])


def runs_line(result: StudyResult) -> str:
    """One sentence on the runs of a study that was resumed or killed; "" for any other."""
    found = [each for each in result.stretches if each.is_known]
    killed = sum(each.ended is None for each in found[:-1])
    if len(found) < 2:
        return ""
    last = found[-1]
    dead = f", {killed} of them killed" if killed else ""
    return (
        f"Run {len(found)} times{dead}; last {_trials(last)}: {_end(last, is_last=True)}. "
        "`npu-tune report` lists them."
    )


def stretches_document(found: Sequence[Stretch], *, commands: bool = True) -> dict[str, Any]:
    """The keys ``stretches`` and ``surroundings`` of a JSON document.

    Args:
        found: the runs.
        commands: whether command lines are listed, which name places of a machine.
    """
    surroundings: list[dict[str, Any]] = []
    listed = []
    for place, each in enumerate(found):
        where = {
            "versions": dict(each.versions),
            "platform": dict(each.platform),
            "fingerprint": dict(each.fingerprint),
        }
        if each.is_known and where not in surroundings:
            surroundings.append(where)
        listed.append(
            {
                "first_trial": each.first_trial,
                "last_trial": each.last_trial,
                "sampler": each.search.sampler,
                "seed": each.search.seed,
                "options": dict(each.search.options),
                "executor": dict(each.executor),
                **({"command": each.command} if commands else {}),
                "began": each.began,
                "began_s": each.began_s,
                "ended": each.ended,
                "ended_s": each.ended_s,
                "stopped": each.stopped,
                "killed": each.is_known and each.ended is None and place + 1 < len(found),
                "surroundings": surroundings.index(where) if each.is_known else None,
            }
        )
    return {"stretches": listed, "surroundings": surroundings}


def _about(each: Stretch, earlier: Stretch | None, *, is_last: bool) -> str:
    """A run in words; of what is as it was in the one before nothing is said."""
    parts = [f"{each.began}: {_end(each, is_last=is_last)}"]
    if each.ended_s is not None:
        parts.append(f"{each.ended_s - each.began_s:.1f} s")
    facts = _facts(each)
    known = {} if earlier is None else _facts(earlier)
    parts += [text for name, text in facts.items() if known.get(name) != text]
    return "; ".join(parts)


def _facts(each: Stretch) -> dict[str, str]:
    options = "".join(f", {name} = {value!r}" for name, value in each.search.options.items())
    workers = each.executor.get("workers")
    platform = each.platform
    return {
        "sampler": f"{each.search.sampler}, seed {each.search.seed}{options}",
        "executor": f"{each.executor.get('kind')} with {workers} worker{'s' * (workers != 1)}",
        "versions": ", ".join(f"{name} {found}" for name, found in each.versions.items()),
        "platform": f"{platform.get('processor')} ({platform.get('machine')}), "
        f"{platform.get('system')}",
    }


def _trials(each: Stretch) -> str:
    if each.last_trial is None:
        return "no trial" if each.ended else f"from trial {each.first_trial} on"
    if each.last_trial == each.first_trial:
        return f"trial {each.first_trial}"
    return f"trials {each.first_trial} to {each.last_trial}"


def _end(each: Stretch, *, is_last: bool) -> str:
    if each.ended is not None:
        return f"ended ({each.stopped})"
    return "runs, or was killed" if is_last else "killed"
