"""The coordinates turned by 45 degrees, for trees, which split along one feature at a time.

A border that runs diagonally on the map, as the shores of Manhattan do, is one split of a turned coordinate and a
staircase of the plain ones.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator, TransformerMixin

from model_registry.listing import FEATURES

_LATITUDE, _LONGITUDE = FEATURES.index("latitude"), FEATURES.index("longitude")


TURNED = ("latitude + longitude", "latitude - longitude")
"""The columns that are added, in words."""


class TurnedCoordinates(TransformerMixin, BaseEstimator):  # pyright: ignore[reportUntypedBaseClass]
    """Feature rows (n, 11) with two more columns behind them: latitude + longitude, and latitude - longitude."""

    def fit(self, X: NDArray[np.float32], y: object = None) -> Self:
        """Nothing is learned."""
        del y
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 11) float32 to (n, 13) float32; sum and difference are rounded to float32, as ONNX rounds them."""
        rows = np.asarray(X, np.float32)
        latitude, longitude = rows[:, [_LATITUDE]], rows[:, [_LONGITUDE]]
        return np.concatenate([rows, latitude + longitude, latitude - longitude], axis=1)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, len(FEATURES) + 2])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    rows = operator.inputs[0].full_name

    def add(kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or str(scope.get_unique_variable_name(kind.lower()))
        container.add_node(
            kind, inputs, [output], op_version=13, name=scope.get_unique_operator_name(kind), **attributes
        )
        return output

    def column(number: int) -> str:
        name = scope.get_unique_variable_name("column")
        container.add_initializer(name, 7, [1], [number])  # 7 stands for int64 in ONNX
        return add("Gather", [rows, name], axis=1)

    latitude, longitude = column(_LATITUDE), column(_LONGITUDE)
    turned = add("Add", [latitude, longitude]), add("Sub", [latitude, longitude])
    add("Concat", [rows, *turned], operator.outputs[0].full_name, axis=1)


update_registered_converter(TurnedCoordinates, "TurnedCoordinates", _shape, _convert)
