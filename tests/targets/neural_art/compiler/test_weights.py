"""Bytes of weights."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from small_graphs import chain, image

from npu_tune.targets.neural_art.compiler.weights import (
    stored_weight_bytes,
    streamed_weight_bytes,
)
from npu_tune.targets.neural_art.compiler.work import shape_of


def layer(channels: int, rows: int, **fields):
    graph = chain(image(channels, rows), fields)
    return graph.operations[0], shape_of(graph.operations[0], graph)


def test_a_byte_per_weight_and_four_per_output_channel_are_stored():
    operation, shape = layer(16, 8, kernels=32, taps=3)
    assert stored_weight_bytes(operation, shape) == 16 * 32 * 9 + 4 * 32
    assert stored_weight_bytes(operation, shape, bits=4) == 16 * 32 * 9 // 2 + 4 * 32


def test_constants_of_channels_are_not_streamed():
    operation, shape = layer(16, 8, kernels=32, taps=3)
    stored = stored_weight_bytes(operation, shape)
    assert streamed_weight_bytes(stored, shape) == 16 * 32 * 9


def test_constants_that_are_unrolled_are_streamed():
    operation, shape = layer(16, 32, kernels=600)
    stored = stored_weight_bytes(operation, shape)
    assert stored == 16 * 600 + 32 * 1024
    assert streamed_weight_bytes(stored, shape) == stored


def test_depthwise_kernels_with_a_stride_are_stored_twice():
    plain = stored_weight_bytes(*layer(16, 8, kernels=1, taps=3, depthwise=True))
    strided = stored_weight_bytes(*layer(16, 8, kernels=1, taps=3, depthwise=True, stride=2))
    assert strided - plain == 16 * 9


def test_what_has_no_weights_stores_nothing():
    operation, shape = layer(16, 8, kernels=32)
    bare = replace(operation, weights=None)
    assert stored_weight_bytes(bare, shape) == 0
    assert streamed_weight_bytes(0, shape) == 0


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0.0, 8.0), st.sampled_from((4, 8)))
def test_compression_never_stores_more_nor_less_than_the_entropy(channels, kernels, bits, width):
    operation, shape = layer(channels, 4, kernels=kernels, entropy_bits=bits)
    plain = stored_weight_bytes(operation, shape, bits=width)
    packed = stored_weight_bytes(operation, shape, bits=width, compressed=True)
    assert packed <= plain
    assert packed >= channels * kernels * min(bits, width) / 8
