"""Networks and targets that the Ethos-U tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vela_operators import SmallTflite

from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.targets.ethos_u.problem import EthosUProblem
from npu_tune.targets.ethos_u.target import EthosUTarget


@pytest.fixture(scope="session")
def resnet8() -> Network:
    return zoo_network("resnet8", format="tflite")


@pytest.fixture(scope="session")
def mobilenet() -> Network:
    return zoo_network("mobilenet-v1-0.25-96", format="tflite")


@pytest.fixture(scope="session")
def u55() -> EthosUTarget:
    return EthosUFamily().make("ethos-u55-128", {})


@pytest.fixture(scope="session")
def u65() -> EthosUTarget:
    """A system whose feature maps live in DRAM with a dedicated SRAM in front of it."""
    return EthosUFamily().make(
        "ethos-u65-512", {"system_config": "Ethos_U65_High_End", "memory_mode": "Dedicated_Sram"}
    )


@pytest.fixture(scope="session")
def resnet8_problem(u55, resnet8) -> Iterator[EthosUProblem]:
    with u55.bind(resnet8) as problem:
        yield problem


@pytest.fixture(scope="session")
def mobilenet_problem(u55, mobilenet) -> Iterator[EthosUProblem]:
    with u55.bind(mobilenet) as problem:
        yield problem


@pytest.fixture(scope="session")
def narrow() -> Network:
    """Two branches of a wide and a narrow convolution, added up."""
    file = SmallTflite()
    file.tensor("in", (1, 32, 32, 4))
    last = "in"
    for block in range(2):
        for channels, name in ((8, f"wide{block}"), (4, f"narrow{block}")):
            depth = 4 if channels == 8 else 8
            file.convolution(last, name, (1, 32, 32, channels), depth)
            last = name
        before = "in" if block == 0 else "add0"
        file.tensor(f"add{block}", (1, 32, 32, 4))
        file.operator("ADD", [before, last], [f"add{block}"], "AddOptions")
        last = f"add{block}"
    file.convolution(last, "out", (1, 32, 32, 16), 4)
    return file.network("narrow", ["in"], ["out"])


@pytest.fixture(scope="session")
def narrow_problem(u55, narrow) -> Iterator[EthosUProblem]:
    with u55.bind(narrow) as problem:
        yield problem
