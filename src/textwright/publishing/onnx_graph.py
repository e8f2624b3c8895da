"""Builds an ONNX graph operator by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from textwright.version import VERSION

OPSET = 17
"""Version of the operators: LayerNormalization is the newest one in use."""

IR_VERSION = 9
"""Version of the file format: old enough for all runtimes with these operators."""

NEW = "new."
"""Prefix of the state tensors that the graph returns."""


class Graph:
    """A graph being built. Tensors are referred to by name; methods return the result's name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> str:
        """Add an input; a dimension that is a string may have any size."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Return `value` from the graph as `name`, float32."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Add an array to the file."""
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a list of integers, e.g. axes or a shape."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float | int) -> str:
        """Add a scalar: int64 or float32."""
        return self._constant(np.array(value, np.int64 if isinstance(value, int) else np.float32))

    def _constant(self, array: NDArray[Any]) -> str:
        return self.weight(f"constant.{len(self._weights)}", array)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator with one result."""
        return self.nodes(operator, *inputs, results=1, **attributes)[0]

    def nodes(self, operator: str, *inputs: str, results: int, **attributes: Any) -> list[str]:
        """Apply an operator with several results."""
        number = len(self._nodes)
        names = [f"{operator}.{number}.{index}" for index in range(results)]
        node = helper.make_node(operator, inputs, names, f"{operator}.{number}", **attributes)
        self._nodes.append(node)
        return names

    def linear(self, x: str, weight: str, bias: str | None = None) -> str:
        """x @ weight (+ bias); weight is (in, out)."""
        y = self.node("MatMul", x, weight)
        return y if bias is None else self.node("Add", y, bias)

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The complete model, checked, with `metadata`; `logits` is its first output."""
        # programs that know nothing of the state take the first
        outputs = sorted(self._outputs, key=lambda output: output.name != "logits")
        graph = helper.make_graph(
            self._nodes, "step", self._inputs, outputs, initializer=self._weights
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="textwright",
            producer_version=VERSION,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model
