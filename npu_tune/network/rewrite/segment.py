"""Which nodes belong to an entry of a plan: paths between layers, and what is fused behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from npu_tune.errors import UsageError
from npu_tune.network.rewrite.operators import ELEMENTWISE
from npu_tune.network.rewrite.plan import LayerSplit, RewritePlan, StripedSegment
from npu_tune.network.rewrite.source import DEQUANTIZE, QUANTIZE, SourceModel, is_operator
from npu_tune.validation import known_remedy, sentence

Entry = StripedSegment | LayerSplit


@dataclass(frozen=True)
class Section:
    """The nodes of one entry of a plan.

    Args:
        entry: the entry.
        nodes: their places, in execution order.
        output: the only tensor of theirs that is read by others.
    """

    entry: Entry
    nodes: tuple[int, ...]
    output: str


def find_sections(source: SourceModel, plan: RewritePlan) -> tuple[Section, ...]:
    """The nodes of every entry of a plan, segments first.

    To the nodes on paths between the layers come those behind that a compiler fuses with the last
    one: what is element by element with constants, and its QuantizeLinear. DequantizeLinear at
    the borders stay outside.

    Raises:
        UsageError: if a layer is unknown or constant, entries overlap, or something inside a
            segment is read outside.
    """
    entries: list[Entry] = [*plan.segments, *plan.splits]
    cores = [_core(source, entry) for entry in entries]
    owners: dict[int, Entry] = {}
    for entry, core in zip(entries, cores, strict=True):
        for place in core:
            if place in owners:
                raise UsageError(
                    f"{sentence(str(entry))} overlaps {owners[place]} in "
                    f"{source.describe(place)}.",
                    remedy="Let every layer belong to one entry.",
                    layer=source.names[place],
                )
            owners[place] = entry
    sections = []
    for entry, core in zip(entries, cores, strict=True):
        section = _extended(source, entry, core, frozenset(owners))
        owners.update(dict.fromkeys(section.nodes, entry))
        sections.append(section)
    return tuple(sections)


def _core(source: SourceModel, entry: Entry) -> set[int]:
    """The nodes on paths between the layers of an entry."""
    layers = entry.layers if isinstance(entry, StripedSegment) else (entry.layer,)
    named = {_place(source, layer, entry) for layer in layers}
    behind, before = set(named), set(named)
    for place, node in enumerate(source.nodes):
        if any(source.producers.get(name) in behind for name in node.input):
            behind.add(place)
    for place in range(len(source.nodes) - 1, -1, -1):
        readers = (r for name in source.nodes[place].output for r in source.readers.get(name, ()))
        if any(reader in before for reader in readers):
            before.add(place)
    found = behind & before
    inside = {name for place in found for name in source.nodes[place].output}
    borders = {place for place in found if _is_border(source, place, inside, found)}
    return found - borders or found


def _is_border(source: SourceModel, place: int, inside: set[str], found: set[int]) -> bool:
    """Tells whether a node only takes codes from outside, or gives real numbers to the outside."""
    node = source.nodes[place]
    if not is_operator(node, DEQUANTIZE):
        return False
    readers = source.readers.get(node.output[0], ())
    return node.input[0] not in inside or not any(reader in found for reader in readers)


def _place(source: SourceModel, layer: str, entry: Entry) -> int:
    place = source.layers.get(layer)
    if place is None:
        raise UsageError(
            f"There is no layer {layer!r}, which {entry} names.",
            remedy=known_remedy(layer, _worth_naming(source)),
            layer=layer,
        )
    if source.nodes[place].output[0] in source.constants:
        raise UsageError(
            f"The layer {layer!r} of {entry} is computed of constants alone.",
            remedy="Name the layer that reads it.",
            layer=layer,
        )
    return place


def _worth_naming(source: SourceModel) -> list[str]:
    """Layers other than quantizers and what is computed of constants."""
    return [
        layer
        for layer, place in source.layers.items()
        if not is_operator(source.nodes[place], QUANTIZE, DEQUANTIZE)
        and source.nodes[place].output[0] not in source.constants
    ]


def _extended(
    source: SourceModel, entry: Entry, core: Iterable[int], taken: frozenset[int]
) -> Section:
    nodes = sorted(core)
    output = _only_output(source, entry, nodes)
    while True:
        follower = _fused_behind(source, output)
        if follower is None or follower in taken or not _may_follow(source, entry, follower):
            break
        nodes.append(follower)
        output = source.nodes[follower].output[0]
    return Section(entry, tuple(nodes), output)


def _only_output(source: SourceModel, entry: Entry, nodes: list[int]) -> str:
    inside = set(nodes)
    read_outside: list[str] = [
        name
        for place in nodes
        for name in source.nodes[place].output
        if name in source.outputs or set(source.readers.get(name, ())) - inside
    ]
    if not read_outside:
        raise UsageError(f"Nothing reads what {entry} computes.", remedy="Leave it out.")
    *others, last = read_outside
    if others:
        readers = [r for r in source.readers.get(others[0], ()) if r not in inside]
        by = f"read outside it, by {source.describe(readers[0])}" if readers else "an output"
        raise UsageError(
            f"The map {others[0]!r} inside {entry} is {by}.",
            remedy="End the segment there, begin it behind, or add the layers that read it.",
            tensor=others[0],
        )
    return last


def _fused_behind(source: SourceModel, output: str) -> int | None:
    """The only reader of a map, where it is element by element with constants."""
    readers = source.readers.get(output, ())
    if len(readers) != 1 or output in source.outputs:
        return None
    node = source.nodes[readers[0]]
    if not is_operator(node, *(ELEMENTWISE - {DEQUANTIZE})) or len(node.output) > 1:
        return None
    if source.quantizer(output, QUANTIZE) is not None:
        return None
    others = [name for name in node.input if name and name != output]
    same_shape = source.shapes[node.output[0]] == source.shapes[output]
    return readers[0] if same_shape and all(each in source.constants for each in others) else None


def _may_follow(source: SourceModel, entry: Entry, place: int) -> bool:
    """Tells whether a node can follow parts of channels: where its constants are numbers."""
    if isinstance(entry, StripedSegment) or entry.over == "rows":
        return True
    if is_operator(source.nodes[place], "LRN"):  # over neighbouring channels
        return False
    constants = [name for name in source.nodes[place].input if name in source.constants]
    return all(
        len(shape := source.shapes.get(name, (0, 0))) == 0 or max(shape) == 1 for name in constants
    )
