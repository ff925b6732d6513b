"""Remembers encoded weights across compilations, and encodes in a chosen traversal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any
from unittest.mock import patch

import numpy as np
from ethosu.vela import weight_compressor
from ethosu.vela.api import NpuBlockTraversal

_encode = weight_compressor.encode_weight_and_scale_tensor
_encode_weights = weight_compressor.encode_weights
_Cache = weight_compressor.CompressedWeightCache


SCALE_BYTES = 10
"""A bias with its scale, packed as the NPU wants them: 40 + 32 + 6 bits, rounded up."""


MEMORY_BYTES = 256 << 20
"""Encoded weights remembered per process; some hundred encodings of a large network."""


SUBSTREAM_BYTES = 64 << 20
"""The same of slices."""

_TRAVERSALS = {False: NpuBlockTraversal.DEPTH_FIRST, True: NpuBlockTraversal.PART_KERNEL_FIRST}


class WeightEncoder:
    """Stands in for Vela's encoder: same answers, each computed once per process.

    Vela shares encoded weights between operators through a cache that lives for one
    compilation, and whether an operator finds its weights there changes what it gets. That
    cache is therefore kept as it is, cleared for each compilation; only the encoding behind a
    miss is remembered. Vela's key leaves the traversal out, so a forced one is added to it.
    """

    def __init__(self) -> None:
        self._memo: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()
        self._memo_bytes = 0
        self._substreams = _Substreams()
        self._forced: dict[Any, bool] = {}

    def begin(self) -> None:
        """Forgets what belongs to the last compilation."""
        _Cache.cache = {}
        self._forced = {}

    def force_traversal(self, operation: Any, *, part_kernel: bool) -> None:
        """Fixes the traversal of an operation's weights for this compilation."""
        self._forced[operation] = part_kernel

    def part_kernel(self, op: Any, block_config: Any) -> bool:
        """Whether a scheduler operator's weights are traversed part-kernel first."""
        weights = op.parent_op.weights
        if not weights:
            return False
        encoded, _ = self.encode(
            op.arch,
            op.parent_op,
            weights,
            op.parent_op.bias,
            op.kernel,
            block_config,
            [0, op.ofm.shape.depth],
        )
        return bool(encoded.hw_traversal == NpuBlockTraversal.PART_KERNEL_FIRST)

    def encoded_bytes(self, op: Any, block_config: Any, *, part_kernel: bool | None) -> int:
        """Bytes of an operator's weights and scales, all in one piece.

        Args:
            op: Vela's operator.
            block_config: the block that they are encoded for.
            part_kernel: the traversal; None for the encoder's own.
        """
        self.begin()
        if part_kernel is not None:
            self.force_traversal(op.parent_op, part_kernel=part_kernel)
        weights, bias = op.parent_op.weights, op.parent_op.bias
        slices = [0, op.ofm.shape.depth]
        arguments = (op.arch, op.parent_op, weights, bias, op.kernel, block_config, slices)
        encoded, _ = self.encode(*arguments)
        self.begin()
        return len(encoded.buffer)

    def _remember(self, key: Any, found: tuple[Any, Any]) -> None:
        """Keeps an answer, and drops the oldest ones where there are too many."""
        self._memo[key] = found
        self._memo_bytes += len(found[0].buffer)
        while self._memo_bytes > MEMORY_BYTES and len(self._memo) > 1:
            _, (weights, _) = self._memo.popitem(last=False)
            self._memo_bytes -= len(weights.buffer)

    def _encoded(self, arguments: tuple[Any, ...], part_kernel: bool | None) -> tuple[Any, Any]:
        """Encodes with Vela, in a traversal of ours where one is forced."""
        traversal = None
        if part_kernel is not None:
            traversal = _TRAVERSALS[part_kernel]
        with patch.object(weight_compressor, "encode_weights", self._substreams.encode(traversal)):
            weights, scales = _encode(*arguments)
        if traversal is not None:
            weights.hw_traversal = traversal
        return weights, scales

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts this encoder in the place of Vela's."""
        weight_compressor.encode_weight_and_scale_tensor = self.encode
        try:
            yield
        finally:
            weight_compressor.encode_weight_and_scale_tensor = _encode

    def encode(  # noqa: PLR0917 -- Vela's signature
        self,
        arch: Any,
        op: Any,
        weight_tens: Any,
        scale_tens: Any,
        kernel: Any,
        block_config: Any,
        depth_offsets: list[int],
    ) -> tuple[Any, Any]:
        """Vela's ``encode_weight_and_scale_tensor``."""
        forced = self._forced.get(op)
        slices = depth_offsets if forced is None else _Traversed(depth_offsets, forced)
        key = weight_compressor.create_weight_compression_config(
            weight_tens,
            op.type.npu_block_type,
            block_config.ofm_block.depth,
            hash(str(slices)),
            kernel.dilation,
        )
        arguments = (arch, op, weight_tens, scale_tens, kernel, block_config, slices)
        cached = _Cache.cache.get(key)
        if cached is not None:
            if cached.scale_compression_config == _scales(scale_tens):
                return cached, None
            other_scales: tuple[Any, Any] = _encode(*arguments)
            return other_scales
        scales = scale_tens and (
            scale_tens.value_id,
            weight_compressor._get_input_quantization(op).scale_f32,  # noqa: SLF001
            weight_compressor._get_output_quantization(op).scale_f32,  # noqa: SLF001
        )
        found = self._memo.get((key, scales, op))
        if found is None:
            found = self._encoded(arguments, forced)
            self._remember((key, scales, op), found)
        elif scale_tens:
            scale_tens.element_size_bytes = SCALE_BYTES  # the encoder's one side effect
        _Cache.add(found[0])
        return found


def _scales(scale_tens: Any) -> Any:
    """What a tensor of biases and scales is encoded by, as Vela notes it with the weights."""
    if not scale_tens:
        return weight_compressor.ScaleCompressionConfig(scale_tens, scale_tens, scale_tens)
    consumer = scale_tens.consumer_list[0]
    return weight_compressor.ScaleCompressionConfig(
        scale_tens.value_id,
        weight_compressor._get_input_quantization(consumer).scale_f32,  # noqa: SLF001
        weight_compressor._get_output_quantization(consumer).scale_f32,  # noqa: SLF001
    )


class _Substreams:
    """Encoded slices of weights, which many ways of slicing have in common.

    A slice is known by its own values, so that it is found wherever it comes from. Blocks that
    are deeper than it encode it like one of its own depth.
    """

    def __init__(self) -> None:
        self._memo: OrderedDict[Any, Any] = OrderedDict()
        self._memo_bytes = 0

    def encode(self, traversal: Any) -> Callable[..., Any]:
        """A function that stands in for Vela's ``encode_weights``.

        Args:
            traversal: to encode in; None for the one that Vela chooses.
        """

        def encode_weights(**given: Any) -> Any:
            asked = given if traversal is None else {**given, "block_traversal": traversal}
            volume, depth = asked["weights_volume"], asked["ofm_block_depth"]
            rest = {k: v for k, v in asked.items() if k != "weights_volume"}
            rest["ofm_block_depth"] = min(depth, volume.shape[0])
            digest = blake2b(np.ascontiguousarray(volume).data, digest_size=16).digest()
            key = (digest, volume.shape, *rest.values())
            if key not in self._memo:
                self._remember(key, _encode_weights(**asked))
            return self._memo[key]

        return encode_weights

    def _remember(self, key: Any, found: Any) -> None:
        self._memo[key] = found
        self._memo_bytes += len(found[0])
        while self._memo_bytes > SUBSTREAM_BYTES and len(self._memo) > 1:
            _, (encoded, _) = self._memo.popitem(last=False)
            self._memo_bytes -= len(encoded)


class _Traversed(list[int]):
    """Depth slices whose text, and so Vela's cache key, tells the traversal too."""

    def __init__(self, slices: list[int], part_kernel: bool) -> None:
        super().__init__(slices)
        self.part_kernel = part_kernel

    def __str__(self) -> str:
        return f"{list(self)} part_kernel={self.part_kernel}"
