"""From a trained network to the int8 ONNX file that serves."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

OPSET = 17


def export(network: Any, target: Path, probe: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    """Write ``network`` to ``target`` as int8 ONNX.

    Args:
        network: maps (ids, kinds) to logits.
        target: the file to write.
        probe: a batch of real inputs on which the files are compared with the network.

    Returns:
        the largest difference between a logit of the network and of the int8 file on ``probe``.

    Raises:
        ExportError: the float file does not compute what the network computes.
    """
    # On the outermost module: left in training mode, dropout would be exported and the comparison would lie.
    network.eval()
    ids, kinds = torch.from_numpy(probe[0]), torch.from_numpy(probe[1])
    with torch.no_grad():
        expected = network(ids, kinds).numpy()
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "float.onnx"
        _to_onnx(network, (ids, kinds), plain)
        error = float(np.abs(_run(plain, probe) - expected).max())
        if not error < 1e-3:
            message = f"the exported network differs from the trained one by {error:.2g}"
            raise ExportError(message)
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        _quantise(prepared, target)
    # One input at a time, as serving does: the int8 scales are those of the whole input tensor.
    served = np.concatenate([_run(target, _trimmed(probe, row)) for row in range(len(probe[0]))])
    return float(np.abs(served - expected).max())


class ExportError(Exception):
    """The exported file does not compute what the network computes."""


def _to_onnx(network: Any, example: tuple[Any, Any], target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is deprecated; the newer one needs onnxscript
        torch.onnx.export(
            network,
            example,
            str(target),
            input_names=["ids", "kinds"],
            output_names=["logits"],
            dynamic_axes={
                "ids": {0: "inputs", 1: "tokens"},
                "kinds": {0: "inputs", 1: "tokens"},
                "logits": {0: "inputs"},
            },
            opset_version=OPSET,
            dynamo=False,
        )


def _quantise(source: Path, target: Path) -> None:
    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gather"])


def _trimmed(
    probe: tuple[NDArray[np.int64], NDArray[np.int64]], row: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    length = int((probe[0][row] != 0).sum())
    return probe[0][row : row + 1, :length], probe[1][row : row + 1, :length]


def _run(path: Path, probe: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits: NDArray[np.float32] = session.run(["logits"], {"ids": probe[0], "kinds": probe[1]})[0]
    return logits
