"""What the model makes of a network by default."""

from __future__ import annotations

from functools import lru_cache

from npu_tune.network import read_network
from npu_tune.network.zoo import is_zoo_name, zoo_network
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.free import FreeSpace
from npu_tune.targets.neural_art.graph import CORE_4_0
from npu_tune.targets.neural_art.hardware import HardwareVariants, load_hardware

HARDWARE = load_hardware("stm32n6")


@lru_cache(maxsize=128)
def default_run(network: str, core: str = CORE_4_0) -> Run:
    """Compiles and simulates a network, default configuration.

    Args:
        network: name of a built-in one, which is taken as float ONNX, or path of a model file.
        core: version of the vendor's compiler.
    """
    compiler = NetworkCompiler(
        zoo_network(network) if is_zoo_name(network) else read_network(network),
        HardwareVariants.of(HARDWARE, {}),
        rule=CALIBRATED,
        choices=FreeSpace(four_bit_weights=False, external_ram=True),
        core=core,
    )
    return compiler.run(compiler.space.default)
