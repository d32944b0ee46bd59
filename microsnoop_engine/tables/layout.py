"""The columns of a table of embeddings, their types and their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import InputError, counted
from .columns import (
    BORDER_COLUMN,
    BOX_COLUMNS,
    IMAGE_NUMBER,
    IMAGE_SET,
    METADATA,
    OBJECT_NUMBER,
    center_columns,
    feature_columns,
    quality_columns,
)

_ARROW_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}


@dataclass(frozen=True)
class Layout:
    """The columns of a table.

    Attributes
    ----------
    objects : str
        The object set, or ``Image``.
    channels : tuple of str
    metadata : dict of str to type
        Types (str, int or float) by metadata name without its prefix.
    dimension : int
        Length of the embedding of a channel.
    classical : tuple of str
        Handcrafted features, without the object set.
    quality : bool
        True if the table has the quality of its objects.
    """

    objects: str
    channels: tuple[str, ...]
    metadata: dict[str, type]
    dimension: int = 256
    classical: tuple[str, ...] = ()
    quality: bool = False

    @property
    def located(self) -> bool:
        """True if rows are objects in an image, with number, center, crop and border flag."""
        return self.objects != IMAGE_SET

    def schema(self) -> pa.Schema:
        """Return the Arrow schema, in the order of the columns of the table."""
        fields = [pa.field(f"{METADATA}{name}", _ARROW_TYPES[kind]) for name, kind in self.metadata.items()]
        fields.append(pa.field(IMAGE_NUMBER, pa.int64()))
        if self.located:
            fields.append(pa.field(OBJECT_NUMBER, pa.int64()))
            fields += [pa.field(name, pa.float32()) for name in center_columns(self.objects)]
            fields += [pa.field(name, pa.int32()) for name in BOX_COLUMNS]
            fields.append(pa.field(BORDER_COLUMN, pa.int8()))
        names = quality_columns(self.objects, self.channels) if self.quality else []
        names += feature_columns(self.objects, self.channels, self.dimension)
        names += [f"{self.objects}_{name}" for name in self.classical]
        return pa.schema([*fields, *(pa.field(name, pa.float32()) for name in names)])

    def rows(
        self,
        features: NDArray[Any],
        image_number: NDArray[Any],
        metadata: Mapping[str, Sequence[Any]],
        *,
        object_number: NDArray[Any] | None = None,
        center: NDArray[Any] | None = None,
        box: NDArray[Any] | None = None,
        border: NDArray[Any] | None = None,
        classical: NDArray[Any] | None = None,
        quality: NDArray[Any] | None = None,
    ) -> pa.RecordBatch:
        """Arrange arrays as rows of the table.

        Parameters
        ----------
        features : array (n, channels * dimension), float
        image_number : array (n,), int
        metadata : mapping of str to sequence of n values
            Values by metadata name, None where one is missing. They are converted to the type of their column.
        object_number : array (n,), int, optional
            Required if :attr:`located`, as are the following.
        center : array (n, 2), float, optional
            Centroids (y, x), in pixels.
        box : array (n, 4), int, optional
            Crops (y0, x0, y1, x1), in pixels, half-open.
        border : array (n,), bool, optional
            True where an object touches the edge of its image.
        classical : array (n, q), float, optional
            Handcrafted features; required if the table has some.
        quality : array (n, r), float, optional
            Quality of the objects; required if the table has its columns.

        Returns
        -------
        pyarrow.RecordBatch
            n rows with :meth:`schema`.

        Raises
        ------
        InputError
            If arrays are missing, or the columns differ in length.
        """
        columns: list[Any] = [
            [None if value is None else kind(value) for value in metadata[name]] for name, kind in self.metadata.items()
        ]
        columns.append(np.asarray(image_number).astype(np.int64))
        if self.located:
            if object_number is None or center is None or box is None or border is None:
                raise InputError("rows of objects need `object_number`, `center`, `box` and `border`")
            y0, x0, y1, x1 = box.T
            columns += [object_number.astype(np.int64), center[:, 1], center[:, 0]]
            columns += [x0, y0, x1, y1, border.astype(np.int8)]
        if self.quality:
            if quality is None:
                raise InputError("rows of a table with the quality of objects need `quality`")
            columns += list(quality.T)
        columns += list(features.T)
        if self.classical:
            if classical is None:
                raise InputError("rows of a table with handcrafted features need `classical`")
            columns += list(classical.T)
        if any(len(column) != len(features) for column in columns):
            raise InputError(
                f"the columns of the table have other lengths than its {counted(len(features), 'rows')} of features"
            )
        schema = self.schema()
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def metadata_types(records: Iterable[Mapping[str, object]]) -> dict[str, type]:
    """Find one type for each name in the metadata of image sets.

    Parameters
    ----------
    records : iterable of mappings
        The metadata of each image set.

    Returns
    -------
    dict of str to type
        int, float or str; str where values differ in type, or have another one.

    Examples
    --------
    >>> metadata_types([{"Well": "A01", "Site": 1}, {"Well": "A02", "Site": 2.5}])
    {'Well': <class 'str'>, 'Site': <class 'str'>}
    """
    types: dict[str, type] = {}
    for record in records:
        for name, value in record.items():
            kind = type(value) if type(value) in _ARROW_TYPES else str
            types[name] = kind if types.get(name, kind) is kind else str
    return types
