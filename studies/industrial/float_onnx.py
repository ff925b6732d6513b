"""Writes trained parameters as float ONNX, channels first, and compares it with JAX."""

from __future__ import annotations

import numpy as np
import onnx
from classifier import IMAGE, Architecture, Convolution, Parameters
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from recordings import INPUT
from training import predicted_logits
from vibration import CLASSES

from npu_tune.network.onnx.runtime import import_onnxruntime
from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS

OUTPUT = "logits"

MOST_DIFFERENCE = 1e-4
"""Between the logits of ONNX and JAX, by the greatest of JAX's: float sums in another order."""


def float_onnx(architecture: Architecture, parameters: Parameters) -> onnx.ModelProto:
    """The network as ONNX; it takes one image at a time.

    The softmax is left out: it changes no decision, and where it is wanted it is four numbers'
    work for the program around the network.
    """
    nodes, constants = [], []

    def constant(name: str, value: NDArray[np.float32]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    x = kept = INPUT
    for each in architecture.convolutions:
        if each.depthwise:
            kept = x
        weights = np.asarray(parameters[f"{each.name}/kernel"])
        inputs = [
            x,
            constant(f"{each.name}/kernel", weights.transpose(3, 2, 0, 1)),
            constant(f"{each.name}/bias", np.asarray(parameters[f"{each.name}/bias"])),
        ]
        nodes.append(_convolution(each, inputs))
        x = each.name
        if each.adds:
            nodes.append(helper.make_node("Add", [x, kept], [f"{each.name}/sum"]))
            x = f"{each.name}/sum"
        nodes.append(helper.make_node("Relu", [x], [f"{each.name}/relu"]))
        x = f"{each.name}/relu"
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node(
            "Gemm",
            [
                "features",
                constant("dense/kernel", np.asarray(parameters["dense/kernel"]).T),
                constant("dense/bias", np.asarray(parameters["dense/bias"])),
            ],
            [OUTPUT],
            transB=1,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "bearing",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, (1, *IMAGE))],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, (1, len(CLASSES)))],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="npu-tune"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _convolution(each: Convolution, inputs: list[str]) -> onnx.NodeProto:
    height, width, _, channels = each.shape
    before, behind = each.pads
    return helper.make_node(
        "Conv",
        inputs,
        [each.name],
        name=each.name,
        kernel_shape=(height, width),
        strides=(each.stride, each.stride),
        pads=(before, before, behind, behind),
        group=channels if each.depthwise else 1,
    )


def onnx_logits(
    model: onnx.ModelProto,
    images: NDArray[np.float32],
    optimization: str = "all",
) -> NDArray[np.float32]:
    """Logits of images, one at a time, by onnxruntime on one thread of the CPU.

    Args:
        model: with external data inside.
        images: samples first.
        optimization: onnxruntime's level of rewriting graphs, as the CPU target calls it.
    """
    onnxruntime = import_onnxruntime("The industrial case", extra="industrial")
    options = onnxruntime.SessionOptions()
    level = getattr(onnxruntime.GraphOptimizationLevel, OPTIMIZATIONS[optimization])
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run([OUTPUT], {INPUT: image[None]})[0] for image in images])


def difference_from_jax(
    model: onnx.ModelProto,
    architecture: Architecture,
    parameters: Parameters,
    images: NDArray[np.float32],
) -> float:
    """The greatest difference of a logit, by the greatest logit of JAX.

    Raises:
        RuntimeError: if it is more than :data:`MOST_DIFFERENCE`.
    """
    wanted = predicted_logits(architecture, parameters, images)
    found = float(np.abs(onnx_logits(model, images) - wanted).max() / np.abs(wanted).max())
    if not found <= MOST_DIFFERENCE:
        raise RuntimeError(
            f"The ONNX file differs from JAX by {found:.2g}, and {MOST_DIFFERENCE:g} are allowed."
        )
    return found
