"""Writes docs/operators.md: which operators are read, on which target.

Run it where readers or targets changed: ``python tests/support/operators_page.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from litert_rows import operator_rows
from onnx_backend_tests import (
    Outcome,
    file_tests,
    node_tests,
    outcome_of,
    with_constants,
)

from npu_tune.errors import NpuTuneError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"
RIGHT_DB = 20.0
"""Decibels from which on a converted network counts as right."""

_HEAD = """# Operators

Written by `python tests/support/operators_page.py`; a test holds it to what the program does.

On Neural-ART an operator runs on a *unit* of the accelerator, on the *CPU*, or takes *no work*:
it is folded into another one, or moves no data. For an Ethos-U an ONNX network is first written as
int8 TFLite; what has no such form is refused. Every refusal is one sentence that names the node or
tensor, with what to do about it and an exit code (see [exit_codes.md](exit_codes.md)).
"""

_RIGHT = (
    f"Right means at least {RIGHT_DB:g} dB of the worst output against onnxruntime, int8 against "
    "float. The others:"
)
_REFUSED = (
    "The second row is how networks have most operators: with weights and sizes that do not "
    "change. Each of the tests that are not read, or not converted, ends with the exit code "
    "{codes} and a sentence; of the first row, these are the reasons:"
)
_PER_OPERATOR = (
    "Per operator, over the tests of the first two rows that have it alone; a reason stands where "
    "some of the tests are refused, and is the most frequent one:"
)

_PER_TFLITE_OPERATOR = (
    "One small int8 network per operator of LiteRT's schema, in float where the operator has no int8 "
    "form; Vela leaves what is in float on the CPU. Other types, shapes and options may be refused, in a "
    "sentence."
)


def outcomes() -> list[Outcome]:
    """What becomes of all of onnx's tests but those of whole networks without weights."""
    made = []
    for test in (*node_tests(), *file_tests()):
        made.append(outcome_of(test))
        single = test.kind == "node" and not test.name.endswith("_expanded")
        bound = with_constants(test) if single else None
        if bound is not None:
            made.append(outcome_of(bound))
    return made


def onnx_part(found: Sequence[Outcome]) -> str:
    """The part of the page on ONNX files."""
    own = [each for each in found if each.test.kind == "node" and not each.test.bound]
    bound = [each for each in found if each.test.bound]
    files = [each for each in found if each.test.kind != "node"]
    lines = [
        "## ONNX",
        "",
        "Of the tests that the onnx package brings, each with its own input data:",
        "",
        "| tests | number | read on Neural-ART | made int8 TFLite | of these right |",
        "|---|---|---|---|---|",
        _shares("single operators, and the functions some of them stand for", own),
        _shares("single operators, with constants for all inputs but the first", bound),
        _shares("networks and layers exported by PyTorch, and small ones", files),
        "",
        _RIGHT,
        "",
        *_wrong(found),
        "",
        _REFUSED.format(codes=_codes(found)),
        "",
        "| why not on Neural-ART | tests |",
        "|---|---|",
        *_reasons(each.refused for each in own),
        "",
        "| why not as int8 TFLite | tests |",
        "|---|---|",
        *_reasons(each.unconverted for each in own),
        "",
        _PER_OPERATOR,
        "",
        "| operator | on Neural-ART | as int8 TFLite |",
        "|---|---|---|",
        *_rows([*own, *bound]),
        "",
        f"onnx has no test of {', '.join(f'`{name}`' for name in _untested(own))}.",
        "",
    ]
    return "\n".join(lines)


def _shares(what: str, found: Sequence[Outcome]) -> str:
    converted = [each for each in found if each.decibels is not None]
    right = sum(_is_right(each) for each in converted)
    read = sum(each.kinds is not None for each in found)
    return f"| {what} | {len(found):,} | {read:,} | {len(converted):,} | {right:,} |"


def _is_right(outcome: Outcome) -> bool:
    return outcome.decibels is not None and outcome.decibels >= RIGHT_DB


def _wrong(found: Iterable[Outcome]) -> list[str]:
    names = [
        f"- `{each.test.name}`: {_WHY_BELOW.get(each.test.name, 'not looked into')}"
        for each in found
        if each.decibels is not None and not _is_right(each)
    ]
    return names or ["- none"]


_TRAINING = "it drops values at random, as in training; the conversion takes it for inference"
_WHY_BELOW = {
    "test_training_dropout with constants": _TRAINING,
    "test_training_dropout_default with constants": _TRAINING,
    "test_softmax_large_number": "its inputs span 10,003 and differ by 1, which is less than a "
    "step of int8",
    "test_softmax_lastdim": "its probabilities are some 1/256, the step of int8, each",
    "test_resize_downsample_scales_linear": "the scale of 0.6 is no ratio of the sizes, which "
    "alone TFLite knows",
}
"""By the test's name, why int8 or TFLite cannot do better."""


def _codes(found: Iterable[Outcome]) -> str:
    errors = [error for each in found for error in (each.refused, each.unconverted) if error]
    return " or ".join(str(code) for code in sorted({error.exit_code for error in errors}))


def _reasons(errors: Iterable[NpuTuneError | None]) -> list[str]:
    counted = Counter(reason(error) for error in errors if error is not None)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [f"| {words} | {count:,} |" for words, count in ordered]


def reason(error: NpuTuneError) -> str:
    """What an error says, without the names of one network."""
    text = re.sub(r" of '[^']*'", "", error.message.splitlines()[0])
    text = re.sub(r"^The node '[^']*' \(([\w.]+)\)", "the operator", text)
    text = re.sub(r"'[^']*'", "…", text).replace("|", "/")
    text = re.sub(r"is (u?int\d+|bool), not", "is of integers or booleans, not", text)
    text = re.sub(r"(onnxruntime refuses the network): .*", r"\1", text)
    text = re.sub(r"(The ONNX file contradicts itself): .*", r"\1", text)
    text = re.sub(r"\(([\d, ]*)\)|\[[^\]]*\]|\b\d[\d,.]*\b", "…", text)
    return text.rstrip(".")[:160]


def _rows(found: Sequence[Outcome]) -> list[str]:
    by_operator: dict[str, list[Outcome]] = {}
    for each in found:
        if not each.test.name.endswith("_expanded") and len(each.test.operators) == 1:
            by_operator.setdefault(next(iter(each.test.operators)), []).append(each)
    return [
        f"| `{name}` | {_on_neural_art(name, each)} | {_as_tflite(each)} |"
        for name, each in sorted(by_operator.items())
    ]


def _on_neural_art(name: str, found: Sequence[Outcome]) -> str:
    ways = Counter(_way(name, each) for each in found if each.kinds is not None)
    listed = [way for way in ("unit", "no work") if ways.pop(way, 0)]
    listed += [way for way, _ in ways.most_common(1)]
    refused = Counter(reason(each.refused) for each in found if each.refused is not None)
    listed += [f"refused: {words}" for words, _ in refused.most_common(1)]
    return "; ".join(listed)


def _way(name: str, outcome: Outcome) -> str:
    """How Neural-ART runs the operator of a test."""
    own = [each for each in outcome.kinds or () if each[0] == name]
    on_cpu = [why for _, kind, why in own if kind == "software"]
    if on_cpu:
        return f"CPU ({on_cpu[0]})"
    return "unit" if own else "no work"


def _as_tflite(found: Sequence[Outcome]) -> str:
    converted = any(each.decibels is not None for each in found)
    refused = Counter(reason(each.unconverted) for each in found if each.unconverted is not None)
    listed = ["yes"] if converted else []
    return "; ".join(listed + [f"refused: {words}" for words, _ in refused.most_common(1)])


def _untested(found: Iterable[Outcome]) -> list[str]:
    from onnx import defs

    tested = {name for each in found for name in each.test.operators}
    return sorted({schema.name for schema in defs.get_all_schemas() if not schema.domain} - tested)


def tflite_part() -> str:
    """The part on TFLite: one small network per operator of LiteRT's schema."""
    rows = [f"| `{op}` | {one} | {other} |" for op, one, other in operator_rows()]
    header = ["| operator | on Neural-ART | on Ethos-U55 |", "|---|---|---|"]
    return "\n".join(["## TFLite", "", _PER_TFLITE_OPERATOR, "", *header, *rows, ""])


def page(found: Sequence[Outcome]) -> str:
    """The whole page, one part per file format."""
    return "\n".join([_HEAD, onnx_part(found), tflite_part()])


if __name__ == "__main__":
    PAGE.write_text(page(outcomes()), encoding="utf-8")
