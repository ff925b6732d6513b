"""Computes a segment in stripes of rows: operators on the rows of each, joined at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from npu_tune.errors import UsageError
from npu_tune.network.rewrite.draft import Draft
from npu_tune.network.rewrite.operators import RANK, ROWS, RowRule, pads_of, row_rule
from npu_tune.network.rewrite.rows import PaddedRows, Rows, even_parts
from npu_tune.network.rewrite.segment import Section
from npu_tune.network.rewrite.source import SourceModel, is_operator
from npu_tune.validation import sentence

_PAD_INPUTS = 11


@dataclass(frozen=True)
class _Stripe:
    """The rows of one stripe.

    Args:
        computed: of each tensor of the segment.
        read: by each node, of the inputs that are cut.
    """

    computed: Mapping[str, Rows]
    read: Mapping[int, PaddedRows]


def add_stripes(draft: Draft, section: Section, count: int) -> None:
    """Adds the nodes that compute a section in stripes.

    Args:
        draft: to add to.
        section: of the source.
        count: of the stripes.

    Raises:
        UnsupportedOperatorError: if a node cannot be cut; names it.
        UsageError: if its output has fewer rows.
    """
    source = draft.source
    rules = {place: row_rule(source, place) for place in section.nodes}
    height = source.shapes[section.output][ROWS]
    if count > height:
        raise UsageError(
            f"{sentence(str(section.entry))} asks for {count} stripes, and its output "
            f"{section.output!r} has {height} rows.",
            remedy=f"Ask for {height} at most.",
            rows=height,
        )
    parts = []
    for number, rows in enumerate(even_parts(height, count), 1):
        stripe = _plan_stripe(source, section, rules, rows)
        parts.append(_add_stripe(draft, section, rules, stripe, f"/stripe{number}"))
    last = source.names[section.nodes[-1]]
    draft.join(parts, section.output, axis=ROWS, name=f"{last}/stripes")


def _plan_stripe(
    source: SourceModel, section: Section, rules: Mapping[int, RowRule], rows: Rows
) -> _Stripe:
    """Follows the rows that are needed from the output backwards to every input."""
    inside = {name for place in section.nodes for name in source.nodes[place].output if name}
    needed = {section.output: rows}
    read: dict[int, PaddedRows] = {}
    for place in reversed(section.nodes):
        node = source.nodes[place]
        wanted = [needed[name] for name in node.output if name in needed]
        if not wanted:  # dead
            continue
        own = wanted[0]
        for other in wanted[1:]:
            own = own.union(other)
        needed.update(dict.fromkeys((name for name in node.output if name), own))
        read[place] = _read(source, section, place, rules[place], own)
        for name, is_cut in zip(node.input, rules[place].cut, strict=True):
            if name in inside:
                used = read[place].rows if is_cut else Rows(0, source.shapes[name][ROWS])
                needed[name] = needed.get(name, used).union(used)
    return _Stripe(needed, read)


def _read(
    source: SourceModel, section: Section, place: int, rule: RowRule, rows: Rows
) -> PaddedRows:
    try:
        return rule.read(rows)
    except ValueError as error:
        raise UsageError(
            f"{sentence(str(section.entry))} has too many stripes for "
            f"{source.describe(place)}: its {error}.",
            remedy="Ask for fewer stripes.",
            layer=source.names[place],
        ) from error


def _add_stripe(
    draft: Draft, section: Section, rules: Mapping[int, RowRule], stripe: _Stripe, suffix: str
) -> str:
    """Adds the nodes of one stripe; returns its part of the output."""
    source = draft.source
    made: dict[str, str] = {}
    cuts: dict[tuple[str, Rows], str] = {}

    def operand(place: int, name: str, *, is_cut: bool) -> str:
        if not name or (name not in made and not is_cut):
            return draft.constant_copy(name, suffix) if name in source.constants else name
        height = source.shapes[name][-2]
        rows = stripe.read[place].rows if is_cut else Rows(0, height)
        have = stripe.computed[name] if name in made else Rows(0, height)
        if rows == have:
            return made.get(name, name)
        if (name, rows) not in cuts:
            cuts[name, rows] = draft.cut(
                made.get(name, name),
                rows.within(have),
                axis=len(source.shapes[name]) - 2,
                like=name,
                name=f"{name}{suffix}/rows",
            )
        return cuts[name, rows]

    for place in section.nodes:
        if place not in stripe.read:
            continue
        node, rule = source.nodes[place], rules[place]
        inputs = [
            operand(place, name, is_cut=is_cut)
            for name, is_cut in zip(node.input, rule.cut, strict=True)
        ]
        made.update({name: draft.tensor_name(f"{name}{suffix}") for name in node.output if name})
        label = f"{source.names[place]}{suffix}"
        changes = _changes(draft, place, rule, stripe.read[place], inputs)
        outputs = [made.get(name, "") for name in node.output]
        draft.copy(node, label, inputs, outputs, changes)
    return made[section.output]


def _changes(
    draft: Draft, place: int, rule: RowRule, read: PaddedRows, inputs: list[str]
) -> dict[str, object]:
    """Attributes with the pads of a stripe; where pads are an input, that is replaced."""
    source, node = draft.source, draft.source.nodes[place]
    if rule.window is None:
        return {}
    if not is_operator(node, "Pad"):
        pads = [read.pad_top, rule.pads[1], read.pad_bottom, *rule.pads[3:]]
        return {"pads": pads, "auto_pad": None}
    pads = [*pads_of(source, place)]
    pads[ROWS], pads[ROWS + RANK] = read.pad_top, read.pad_bottom
    if source.opset < _PAD_INPUTS:
        return {"pads": pads}
    inputs[1] = draft.integers(*pads)
    del inputs[3:]  # all four dimensions are stated
    return {}
