"""Blocks and weight buffers chosen together for a whole network, by Vela's own arithmetic.

Vela's estimate of an operator depends on its own choices and on one thing of the operator
before it: how many cycles that leaves for fetching weights ahead. With the cascades given, the
best choices are therefore found exactly (but for the sizes of encoded weights, which are taken
from Vela's default) by walking the operators once and keeping, behind each, the partial
solutions that no other one beats in cycles, in cycles left for fetching and in free memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npu_tune.space import Value
from npu_tune.targets.ethos_u.knobs import block_text
from npu_tune.targets.ethos_u.plan import Block

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.blocks import BlockCost
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices

LABELS_KEPT = 64
"""Partial solutions kept behind an operator; more made no network better."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is given for one operator.

    Args:
        stripe_height: rows of the OFM per stripe; its whole height outside cascades.
        cascaded: True inside a cascade, where weights cannot be fetched in slices.
        feature_map_bytes: fast storage that feature maps take while it runs.
        ifm_bytes: of its own IFMs in their formats, whole.
        ofm_bytes: of its own OFM in its format, whole.
        ofm_since: index of the operator that writes its OFM first; the parts of a concatenation
            are written by several. None for itself.
    """

    stripe_height: int
    cascaded: bool
    feature_map_bytes: float
    ifm_bytes: float = 0.0
    ofm_bytes: float = 0.0
    ofm_since: int | None = None

    @property
    def elsewhere_bytes(self) -> float:
        """What feature maps other than its own take while it runs, outside cascades."""
        return max(self.feature_map_bytes - self.ifm_bytes - self.ofm_bytes, 0.0)


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to run an operator.

    Args:
        block: the block; None for Vela's own.
        buffer: the value of the knob ``weight_buffer``; "" without weights.
        npu_cycles: of the computation.
        least_cycles: no less is added to the total, because feature maps must be moved.
        transfer: cycles to copy all weights; 0 where nothing hides or counts them.
        first_transfer: cycles to copy what must be there before the operator begins.
        slack: cycles it leaves for fetching the next operator's weights.
        buffer_bytes: of fast storage for weights.
    """

    block: Block | None
    buffer: str
    npu_cycles: float
    least_cycles: float
    transfer: float = 0.0
    first_transfer: float = 0.0
    slack: float = 0.0
    buffer_bytes: float = 0.0

    def cycles(self, slack_before: float) -> float:
        """What it adds to the total (``estimate_full_op_performance`` of Vela 5.2.0)."""
        if self.buffer == "single":
            hidden = min(self.transfer, slack_before)
            return max(self.npu_cycles + self.transfer - hidden, self.least_cycles)
        if self.buffer.startswith("double"):
            streamed = self.transfer - slack_before + self.slack
            started = self.npu_cycles + max(self.first_transfer - slack_before, 0.0)
            return max(streamed, started, self.least_cycles)
        return max(self.npu_cycles, self.least_cycles)


@dataclass(frozen=True, slots=True)
class _Label:
    """A partial solution: total cycles, cycles left for fetching, free bytes, the way back."""

    cycles: float
    slack: float
    free: float
    option: _Option
    before: _Label | None


def plan_choices(
    operators: Sequence[OperatorChoices], frames: Sequence[Frame], limit_bytes: float
) -> dict[str, Value] | None:
    """Blocks and weight buffers with the fewest cycles under a memory limit.

    Args:
        operators: in execution order.
        frames: one per operator.
        limit_bytes: of fast storage, for feature maps and weight buffers.

    Returns:
        value by full knob name, or None where the feature maps alone exceed the limit.
    """
    labels: list[_Label] = []
    for position, (operator, frame) in enumerate(zip(operators, frames, strict=True)):
        free = limit_bytes - frame.feature_map_bytes
        if free < 0:
            return None
        following = [
            label
            for option in _options(operator, frame)
            for before in (labels if position else [None])
            if (label := _next(before, option, free)) is not None
        ]
        labels = _undominated(following)
    if not labels:
        return None
    return _changes(operators, min(labels, key=lambda label: label.cycles))


def _next(before: _Label | None, option: _Option, free: float) -> _Label | None:
    if option.buffer_bytes > free:
        return None
    total, slack = (before.cycles, before.slack) if before else (0.0, 0.0)
    if before and option.buffer_bytes > before.free:
        slack = 0.0  # no room to fetch ahead
    return _Label(
        total + option.cycles(slack), option.slack, free - option.buffer_bytes, option, before
    )


def _undominated(labels: list[_Label]) -> list[_Label]:
    kept: list[_Label] = []
    for label in sorted(labels, key=lambda x: (x.cycles, -x.slack, -x.free)):
        if not any(k.slack >= label.slack and k.free >= label.free for k in kept):
            kept.append(label)
            if len(kept) == LABELS_KEPT:
                break
    return kept


def _options(operator: OperatorChoices, frame: Frame) -> Iterator[_Option]:
    """The best block for each way to bring in the weights.

    A slower block leaves more cycles for fetching the next weights, but never more than it
    costs itself, so one block per way is enough.
    """
    candidates = list(operator.blocks_for(frame.stripe_height))
    if frame.stripe_height >= operator.shape[0] or not candidates:
        candidates.insert(0, operator.vendor)
    fastest = min(candidates, key=lambda cost: cost.cycles)
    npu, least = fastest.costs[0], fastest.cycles
    block = _chosen(operator, fastest)
    if not operator.weight_elements:
        yield _Option(block, "", npu, least, slack=npu)
        return

    def in_place(cost: BlockCost) -> float:
        return max(cost.cycles, operator.in_place_cycles(cost))

    best = min(candidates, key=in_place)
    unmoved = best.costs[0]
    yield _Option(_chosen(operator, best), "none", unmoved, in_place(best), slack=unmoved)
    if not operator.buffers_weights:
        return
    size = float(operator.weight_bytes)
    transfer = operator.weight_transfer_cycles
    if frame.cascaded:
        # The transfer happens between two kernels of the cascade, with nothing to hide behind.
        # Vela's estimate leaves it out; a plan does not.
        yield _Option(block, "single", npu, least + transfer, slack=npu, buffer_bytes=size)
        return
    yield _Option(block, "single", npu, least, transfer, transfer, npu, size)
    for depth in operator.slice_depths:
        part = depth / operator.shape[2]
        last = (operator.shape[2] % depth or depth) / operator.shape[2]
        yield _Option(
            block=block,
            buffer=f"double-{depth}",
            npu_cycles=npu,
            least_cycles=least,
            transfer=transfer,
            first_transfer=transfer * part,
            slack=npu * last,
            buffer_bytes=2 * size * part,
        )


def _chosen(operator: OperatorChoices, cost: BlockCost) -> Block | None:
    return None if cost is operator.vendor else cost.block


def _changes(operators: Sequence[OperatorChoices], label: _Label) -> dict[str, Value]:
    changes: dict[str, Value] = {}
    found: _Label | None = label
    for operator in reversed(operators):
        assert found is not None  # noqa: S101 -- one label per operator
        if found.option.block is not None:
            changes[f"{operator.name}/ofm_block"] = block_text(found.option.block)
        if operator.buffers_weights:
            changes[f"{operator.name}/weight_buffer"] = found.option.buffer
        found = found.before
    return changes
