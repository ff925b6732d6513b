"""What the vendor's MLIR files say, read as text: operators, their operands and their names."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

_OPERATOR = re.compile(r'^\s*(?:%([\w$.-]+)(?::\d+)? = )?"((?:top|tpu)\.\w+)"\(([^)]*)\)')
_VALUE = re.compile(r"%([\w$.-]+)")
_PLACE = re.compile(r"loc\((#loc\d*|\"(?:[^\"\\]|\\.)*\")\)\s*$")
_NAMED = re.compile(r"^(#loc\d*) = loc\((.*)\)$")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RESULT = re.compile(r"-> \(?(tensor<.*?>|none)(?:, tensor<|\)|\s+loc)")

NO_WORK = {"top.Weight", "top.None", "top.Input"}
"""What stands for data, not for work."""

ADDED = {"tpu.Load", "tpu.Store", "tpu.Yield", *NO_WORK}
"""What has names of data, not of layers."""


@dataclass(frozen=True)
class Operator:
    """One operator of an MLIR file.

    Args:
        line: on which it stands, from 1.
        kind: such as ``tpu.Conv2D``.
        names: of its results; the vendor's names of tensors.
        result: the first value that it defines; "" if none.
        operands: values that it reads.
        type: of its first result, as written.
        group: number of the layer group that it is in, from 0; None outside.
        function: in which it stands.
    """

    line: int
    kind: str
    names: tuple[str, ...]
    result: str
    operands: tuple[str, ...]
    type: str
    group: int | None
    function: str

    @property
    def name(self) -> str:
        """The first name."""
        return self.names[0] if self.names else ""


def read_operators(text: str) -> list[Operator]:
    """The operators of an MLIR file, in its order; one that encloses others comes before them."""
    lines = text.splitlines()
    places = _places(lines)
    found: list[Operator] = []
    function, group, groups = "", None, 0
    for number, line in enumerate(lines, start=1):
        if "func.func @" in line:
            function = line.split("func.func @")[1].split("(")[0]
        if line.lstrip().startswith("})"):
            group = None
        match = _OPERATOR.match(line)
        if match is None:
            continue
        result, kind, operands = match.groups()
        if kind == "tpu.Group":
            group, groups = groups, groups + 1
            continue
        place = _PLACE.search(line)
        typed = _RESULT.search(line)
        found.append(
            Operator(
                line=number,
                kind=kind,
                names=places.get(place[1], _texts(place[1])) if place else (),
                result=result or "",
                operands=tuple(_VALUE.findall(operands)),
                type=typed[1] if typed else "",
                group=group,
                function=function,
            )
        )
    return found


def precision_of(operator: Operator) -> str:
    """INT8, F16, BF16 or F32, by the elements of what an operator computes; "" for others."""
    match = re.search(r"(?:x|<)([su]?i8|u8|bf16|f16|f32)\b", operator.type)
    if match is None:
        return ""
    return "INT8" if match[1].endswith("8") else match[1].upper()


@dataclass(frozen=True)
class Matching:
    """Which of the vendor's operators each layer of a network has become part of.

    Args:
        name_of: the vendor's name by layer; layers that are gone are not in it.
        layers_of: layers by the vendor's name, in the order of the network.
    """

    name_of: Mapping[str, str]
    layers_of: Mapping[str, tuple[str, ...]]


def match_layers(layers: Sequence[Mapping], operators: Iterable[Operator]) -> Matching:
    """Matches a request's layers with the vendor's operators by the tensors that they compute.

    The vendor calls an operator after the tensor that it computes and its kind in ONNX. Where it
    has joined several, as a convolution and the activation behind it, the last one's name is left.
    """
    known = {name for each in operators if each.kind not in NO_WORK for name in each.names}
    readers: dict[str, list[Mapping]] = {}
    for layer in layers:
        for tensor in layer["inputs"]:
            readers.setdefault(tensor, []).append(layer)
    name_of: dict[str, str] = {}
    for layer in reversed(layers):
        own = [f"{tensor}_{layer['operator']}" for tensor in layer["outputs"]]
        name = next((each for each in own if each in known), None)
        if name is None:
            after = [reader for tensor in layer["outputs"] for reader in readers.get(tensor, ())]
            name = name_of.get(after[0]["name"]) if len(after) == 1 else None
        if name is not None:
            name_of[layer["name"]] = name
    layers_of: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        name = name_of.get(layer["name"])
        if name is not None:
            layers_of[name] = (*layers_of.get(name, ()), layer["name"])
    return Matching(name_of, layers_of)


def known_name(operator: Operator, known: Container[str]) -> str:
    """The name under which an operator is known; "" if it is not.

    The vendor appends to a name where it makes several operators of one, or slices of it.
    """
    for name in operator.names:
        parts = name.split("_")
        for length in range(len(parts), 0, -1):
            if (start := "_".join(parts[:length])) in known:
                return start
    return ""


def owners(operators: Sequence[Operator], known: Iterable[str]) -> dict[int, str]:
    """Whose work each line of the final MLIR file is, by name of an operator that is known.

    What the vendor has added is counted to whom it serves: loads and conversions to the operator
    that reads them, stores to the one whose result they keep.
    """
    known = set(known)
    defined: dict[str, Operator] = {}
    before: dict[int, list[Operator]] = {}
    after: dict[int, list[Operator]] = {each.line: [] for each in operators}
    for each in operators:
        sources = [defined[value] for value in each.operands if value in defined]
        before[each.line] = sources
        for source in sources:
            after[source.line].append(each)
        if each.result:
            defined[each.result] = each
    found = {
        each.line: known_name(each, known)
        for each in operators
        if each.kind not in ADDED and known_name(each, known)
    }
    for each in reversed(operators):
        if each.line not in found:
            reader = next((r for r in after[each.line] if r.line in found), None)
            if reader is not None and each.kind not in ("tpu.Store", "top.Weight"):
                found[each.line] = found[reader.line]
    for each in operators:
        if each.line not in found and each.kind != "top.Weight":
            source = next((s for s in before[each.line] if s.line in found), None)
            if source is not None:
                found[each.line] = found[source.line]
    return found


def _places(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names by place; a place may stand for several others."""
    found: dict[str, tuple[str, ...]] = {}
    later: list[tuple[str, str]] = []
    for line in lines:
        match = _NAMED.match(line)
        if match:
            later.append((match[1], match[2]))
            found[match[1]] = _texts(match[2])
    for place, said in later:
        if not found[place]:
            inner = re.findall(r"#loc\d+", said)
            found[place] = tuple(name for each in inner for name in found.get(each, ()))
    return found


def _texts(said: str) -> tuple[str, ...]:
    return tuple(_TEXT.findall(said))
