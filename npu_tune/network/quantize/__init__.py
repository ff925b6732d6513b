"""Post-training quantization of float ONNX networks to int8 TFLite."""

from npu_tune.network.quantize.archive import load_calibration
from npu_tune.network.quantize.convert import Conversion, convert, quantize_to_tflite, to_int8

__all__ = ["Conversion", "convert", "load_calibration", "quantize_to_tflite", "to_int8"]
