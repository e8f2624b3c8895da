"""Writing an ONNX graph operator by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from textwright.version import VERSION

OPSET = 17
"""Of operators: LayerNormalization is the youngest in use."""

IR_VERSION = 9
"""Of the file: old enough for every runtime that knows the operators."""

NEW = "new."
"""Before the name of a state tensor that comes out."""


class Graph:
    """A graph in the making. Values are names; every method that computes gives the result's."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> str:
        """An input; a dimension that is a string may have any size."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give `value` out as `name`, float32."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """An array that is part of the file."""
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        """A list of integers, as operators take axes and shapes."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float | int) -> str:
        """A single number: int64 or float32."""
        return self._constant(np.array(value, np.int64 if isinstance(value, int) else np.float32))

    def _constant(self, array: NDArray[Any]) -> str:
        return self.weight(f"constant.{len(self._weights)}", array)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator that gives one result."""
        return self.nodes(operator, *inputs, results=1, **attributes)[0]

    def nodes(self, operator: str, *inputs: str, results: int, **attributes: Any) -> list[str]:
        """Apply an operator that gives several."""
        number = len(self._nodes)
        names = [f"{operator}.{number}.{index}" for index in range(results)]
        node = helper.make_node(operator, inputs, names, f"{operator}.{number}", **attributes)
        self._nodes.append(node)
        return names

    def linear(self, x: str, weight: str, bias: str | None = None) -> str:
        """x @ weight (+ bias); the weight lies as (in, out)."""
        y = self.node("MatMul", x, weight)
        return y if bias is None else self.node("Add", y, bias)

    def model(self, about: Mapping[str, str]) -> onnx.ModelProto:
        """The whole, checked; `about` is kept as its metadata."""
        graph = helper.make_graph(
            self._nodes, "step", self._inputs, self._outputs, initializer=self._weights
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="textwright",
            producer_version=VERSION,
        )
        helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model)
        return model
