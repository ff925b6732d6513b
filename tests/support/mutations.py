"""Seeded damage to TFLite files: bytes flipped, and fields changed that still make a file."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tflite_files import packed, unpacked

_NUMBERS = (-(2**31), -7, -2, -1, 0, 1, 2, 3, 5, 127, 128, 1000, 65536, 2**31 - 1)


def mutants(content: bytes, count: int, *, seed: int) -> Iterator[bytes]:
    """Damaged forms of a file, in turn by bytes and by fields; the same for the same seed."""
    generator = random.Random(seed)
    for number in range(count):
        yield (_flipped if number % 2 else _changed)(content, generator)


def _flipped(content: bytes, generator: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 5, 20))):
        # Tables stand at both ends of a file, weights between them.
        ends = generator.choice((range(8, min(4000, len(damaged))), range(8, len(damaged))))
        place = generator.choice(ends)
        damaged[place] = generator.choice((0, 1, 255, generator.randrange(256)))
    return bytes(damaged)


def _changed(content: bytes, generator: random.Random) -> bytes:
    model = unpacked(content)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        generator.choice(_CHANGES)(model, generator)
    try:
        return packed(model)
    except Exception:  # noqa: BLE001 - a value that the field cannot hold
        return content


def _change_index(model: Any, generator: random.Random) -> None:
    graph = model.subgraphs[0]
    owner = generator.choice((generator.choice(graph.operators), graph))
    values = (*_NUMBERS, *range(len(graph.tensors)))
    _change_item(owner, generator.choice(("inputs", "outputs")), generator, values)


def _change_list(model: Any, generator: random.Random) -> None:
    operator = generator.choice(model.subgraphs[0].operators)
    name = generator.choice(("inputs", "outputs"))
    items = _list_of(operator, name)
    if items and generator.random() < 0.5:
        del items[generator.randrange(len(items))]
    else:
        items.append(generator.choice((*items, -1, 0)))
    setattr(operator, name, items)


def _change_shape(model: Any, generator: random.Random) -> None:
    tensor = generator.choice(model.subgraphs[0].tensors)
    sizes = _list_of(tensor, "shape")
    chance = generator.random()
    if chance > 0.5:
        _change_item(tensor, "shape", generator, _NUMBERS)
        return
    if sizes and chance < 0.3:
        del sizes[generator.randrange(len(sizes))]
    else:
        sizes.insert(generator.randint(0, len(sizes)), generator.choice((1, 1, 2, 3)))
    tensor.shape = sizes


def _change_tensor(model: Any, generator: random.Random) -> None:
    tensor = generator.choice(model.subgraphs[0].tensors)
    field = generator.choice(("type", "buffer", "isVariable"))
    limits = {"type": 23, "buffer": len(model.buffers) + 2, "isVariable": 2}
    setattr(tensor, field, generator.randrange(limits[field]))


def _change_quantization(model: Any, generator: random.Random) -> None:
    quantization = generator.choice(model.subgraphs[0].tensors).quantization
    if quantization is None:
        return
    values = _list_of(quantization, generator.choice(("scale", "zeroPoint")))
    chance = generator.random()
    if chance < 0.3:
        quantization.quantizedDimension = generator.choice(_NUMBERS)
    elif chance < 0.6:
        quantization.scale = values[: len(values) // 2]
    else:
        quantization.zeroPoint = [int(value) for value in values] * 2


def _change_options(model: Any, generator: random.Random) -> None:
    operator = generator.choice(model.subgraphs[0].operators)
    options = operator.builtinOptions
    if options is None or generator.random() < 0.2:
        operator.builtinOptionsType, operator.builtinOptions = 0, None
        return
    names = [name for name, value in vars(options).items() if isinstance(value, int)]
    if names:
        setattr(options, generator.choice(names), generator.choice(_NUMBERS))


def _change_operator(model: Any, generator: random.Random) -> None:
    code = generator.choice(model.operatorCodes)
    code.builtinCode = generator.randrange(211)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _change_constant(model: Any, generator: random.Random) -> None:
    held = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data)]
    if not held:
        return
    buffer = min(generator.sample(held, min(3, len(held))), key=lambda b: len(b.data))
    values = np.array(buffer.data, np.uint8)
    values[generator.randrange(len(values))] = generator.choice((0, 1, 127, 128, 255))
    buffer.data = values[: generator.choice((len(values), len(values), len(values) - 1))]


def _drop_operator(model: Any, generator: random.Random) -> None:
    operators = model.subgraphs[0].operators
    if len(operators) > 1:
        del operators[generator.randrange(len(operators))]


def _swap_operators(model: Any, generator: random.Random) -> None:
    operators = model.subgraphs[0].operators
    first, second = (generator.randrange(len(operators)) for _ in range(2))
    operators[first], operators[second] = operators[second], operators[first]


def _list_of(owner: Any, name: str) -> list[Any]:
    values = getattr(owner, name)
    return [] if values is None else list(values)


def _change_item(owner: Any, name: str, generator: random.Random, values: Any) -> None:
    items = _list_of(owner, name)
    if items:
        items[generator.randrange(len(items))] = generator.choice(values)
        setattr(owner, name, items)


_CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    _change_index,
    _change_list,
    _change_shape,
    _change_tensor,
    _change_quantization,
    _change_options,
    _change_operator,
    _change_constant,
    _drop_operator,
    _swap_operators,
)
