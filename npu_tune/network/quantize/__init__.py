"""Post-training quantization of float ONNX networks to int8 TFLite."""

from npu_tune.network.quantize.accuracy import ConversionCheck
from npu_tune.network.quantize.archive import load_calibration
from npu_tune.network.quantize.check import check_conversion
from npu_tune.network.quantize.conversion import Conversion
from npu_tune.network.quantize.convert import convert, quantize_to_tflite, to_int8

__all__ = [
    "Conversion",
    "ConversionCheck",
    "check_conversion",
    "convert",
    "load_calibration",
    "quantize_to_tflite",
    "to_int8",
]
