"""What a program answers, read and checked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from npu_tune.errors import (
    FAILURES,
    CompilerCrashError,
    CompilerError,
    CompilerTimeoutError,
    WorkerLostError,
)
from npu_tune.network import Network
from npu_tune.processes import describe_exit
from npu_tune.processes.programs import ProgramEnd
from npu_tune.space import SearchSpace
from npu_tune.targets.command.memory import MemoryTable
from npu_tune.targets.command.settings import TEMPORARY, CommandTable, FailureName
from npu_tune.targets.metrics import Evaluation
from npu_tune.validation import Table, validated

MOST_BYTES = 16 * 2**20
"""That a program may print, to either stream."""

_WORDS_CHARACTERS = 600
_WORDS_LINES = 3

Finite = Annotated[float, Field(allow_inf_nan=False)]


class AnswerTable(Table):
    """What a program prints on the last line of its standard output, as JSON.

    Args:
        metrics: every number that was declared.
        profile: by layer, value by column.
        notes: what a person should know.
        spread: relative standard deviation by metric, where it was found out.
        files: of the working folder that are deployed, by role.
        memory: what lies in memory while the network runs; None where the program does not tell.
        failure: class of failure, instead of metrics.
        message: why it failed.
    """

    metrics: dict[str, Finite] | None = None
    profile: dict[str, dict[str, Finite]] = Field(default_factory=dict)
    notes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    spread: dict[str, Annotated[Finite, Field(ge=0.0)]] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    memory: MemoryTable | None = None
    failure: FailureName | None = None
    message: str = ""


def read_answer(table: CommandTable, end: ProgramEnd, output: Path, errors: Path) -> AnswerTable:
    """The answer of a program that has ended.

    Args:
        table: what it was to do.
        end: how it ended.
        output: what it has printed.
        errors: what it has written to standard error.

    Raises:
        EvaluationError: of the class that the program names, that its exit status stands for, or
            that how it ended means; with its last words.
    """
    said = last_words(errors) or last_words(output)
    if end.refused:
        raise WorkerLostError(
            f"The command cannot be started: {end.refused}.", remedy=f"Check {table.argv[0]!r}."
        )
    if end.stopped == "late":
        raise CompilerTimeoutError(f"The command took longer than its time limit{said}.")
    if end.stopped:
        raise CompilerError(
            f"The command prints more than {MOST_BYTES // 2**20} MiB{said}.",
            remedy="Let it write such output to a file.",
        )
    if end.status < 0:
        raise CompilerCrashError(f"The command was {describe_exit(end.status)}{said}.")
    answer = _parse(output, words=said, status=end.status)
    if answer is not None and answer.failure is not None:
        message = answer.message or f"The command says {answer.failure!r}"
        raise FAILURES[answer.failure](message)
    if end.status:
        named = table.exit_codes.get(str(end.status))
        default: FailureName = "infrastructure" if end.status == TEMPORARY else "compiler-error"
        raise FAILURES[named or default](
            f"The command ended with {describe_exit(end.status)}{said}."
        )
    if answer is None:
        raise CompilerError(
            f"The last line that the command prints is no JSON object{said}.",
            remedy='It should be such as {"metrics": {"latency_ms": 1.5}}.',
        )
    _check_metrics(table, answer, said)
    return answer


def evaluation_of(
    table: CommandTable,
    answer: AnswerTable,
    network: Network,
    space: SearchSpace,
    *,
    left: int = 0,
) -> Evaluation:
    """The evaluation that an answer stands for.

    Args:
        table: what was declared.
        answer: of the program; its metrics are those declared.
        network: whose layers profiles name.
        space: of the network.
        left: processes that the program left behind.

    Raises:
        CompilerError: if profile or memory are not what was declared.
    """
    if answer.memory is not None and not table.memory:
        raise CompilerError(
            "The answer of the command has a memory, which is not declared.",
            remedy="Declare memory = true in [target.command].",
        )
    notes = answer.notes
    if left:
        one = left == 1
        notes = (*notes, f"The command left {left} process{'' if one else 'es'} behind, ended.")
    return Evaluation(
        metrics=dict(answer.metrics or {}),
        profile=_profile(table, answer, network, space),
        notes=notes,
        spread=dict(answer.spread),
    )


def last_words(path: Path) -> str:
    """The last lines of a file in parentheses; "" where there are none."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 4 * _WORDS_CHARACTERS, 0))
        text = file.read().decode(errors="replace")
    printable = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.replace("\r", "\n"))
    lines = [line.strip() for line in printable.splitlines() if line.strip()][-_WORDS_LINES:]
    words = " | ".join(lines)[-_WORDS_CHARACTERS:]
    return f" ({words.rstrip('.')})" if words else ""


def _parse(output: Path, *, words: str, status: int) -> AnswerTable | None:
    """The object on the last line, or in the whole output; None where there is none."""
    text = output.read_text(encoding="utf-8", errors="replace").strip()
    found: Any = None
    for candidate in (text.rpartition("\n")[2], text):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        break
    if not isinstance(found, dict):
        return None
    if status and "failure" not in found:  # what it says beside its exit status is no answer
        return None
    return validated(
        AnswerTable,
        found,
        source=f"The answer of the command{words}",
        whole="the answer",
        kind=CompilerError,
    )


def _check_metrics(table: CommandTable, answer: AnswerTable, words: str) -> None:
    declared, reported = [m.name for m in table.metrics], answer.metrics or {}
    missing = [name for name in declared if name not in reported]
    if missing:
        raise CompilerError(
            f"The answer of the command has no metric {missing[0]!r}{words}.",
            remedy="Every metric that is declared has to be in every answer.",
        )
    unknown = [name for name in (*reported, *answer.spread) if name not in declared]
    if unknown:
        raise CompilerError(
            f"The answer of the command has a metric {unknown[0]!r}, which is not declared{words}.",
            remedy=f"Declared are {', '.join(declared)}.",
        )


def _profile(
    table: CommandTable, answer: AnswerTable, network: Network, space: SearchSpace
) -> dict[str, dict[str, float]]:
    """The profile in the order of the layers; a layer with knobs that has no row costs nothing."""
    if table.profile is None:
        if answer.profile:
            raise CompilerError(
                "The answer of the command has a profile, which is not declared.",
                remedy="Declare what its columns mean in [target.command.profile].",
            )
        return {}
    cost, group = table.profile.cost, table.profile.group
    amounts = (cost, *table.profile.causes)
    layers = [layer.name for layer in network.layers]
    unknown = next((name for name in answer.profile if name not in set(layers)), None)
    if unknown is not None:
        raise CompilerError(
            f"The profile of the command has a row {unknown!r}, which is no layer.",
            remedy="Rows have the names of the request's layers.",
        )
    rows, last = {}, 0.0
    for layer in layers:
        row = answer.profile.get(layer)
        if row is None and layer in space.layers:
            row = dict.fromkeys(amounts, 0.0) | ({} if group is None else {group: last})
        if row is None:
            continue
        wrong = next((name for name in amounts if row.get(name, -1.0) < 0.0), None)
        if wrong is None and group is not None and group not in row:
            wrong = group
        if wrong is not None:
            raise CompilerError(
                f"The profile of the command has no {wrong!r} of {layer!r} that is 0 or more."
            )
        rows[layer] = dict(row)
        last = row[group] if group else 0.0
    return rows
