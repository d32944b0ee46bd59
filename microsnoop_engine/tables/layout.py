"""Define the columns of a table of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..images.image_set import ImageSet
from ..modes.measure import Measurement
from .columns import (
    BORDER_COLUMN,
    BOX_COLUMNS,
    IMAGE_NUMBER,
    IMAGE_SET,
    METADATA,
    OBJECT_NUMBER,
    center_columns,
    feature_columns,
)


@dataclass(frozen=True)
class Layout:
    """The columns of a table.

    Attributes
    ----------
    objects : str
        The object set, or ``Image``.
    channels : tuple of str
    metadata : dict of str to type
        Metadata names, without their prefix, and str, int or float.
    dimension : int
    """

    objects: str
    channels: tuple[str, ...]
    metadata: dict[str, type]
    dimension: int = 256

    @property
    def located(self) -> bool:
        """Whether rows are objects in an image, with number, center, crop and border flag."""
        return self.objects != IMAGE_SET

    def schema(self) -> pa.Schema:
        """The Arrow schema, in the order of the columns of the table."""
        kinds = {int: pa.int64(), float: pa.float64(), str: pa.string()}
        fields = [pa.field(f"{METADATA}{name}", kinds[kind]) for name, kind in self.metadata.items()]
        fields.append(pa.field(IMAGE_NUMBER, pa.int64()))
        if self.located:
            fields.append(pa.field(OBJECT_NUMBER, pa.int64()))
            fields += [pa.field(name, pa.float32()) for name in center_columns(self.objects)]
            fields += [pa.field(name, pa.int32()) for name in BOX_COLUMNS]
            fields.append(pa.field(BORDER_COLUMN, pa.int8()))
        names = feature_columns(self.objects, self.channels, self.dimension)
        return pa.schema([*fields, *(pa.field(name, pa.float32()) for name in names)])

    def batch(self, measured: Sequence[tuple[ImageSet, Measurement]]) -> pa.RecordBatch:
        """The rows of image sets."""
        counts = [len(measurement.features) for _, measurement in measured]
        columns: list[Any] = []
        for name, kind in self.metadata.items():
            values = [image_set.metadata.get(name) for image_set, _ in measured]
            values = [None if value is None else kind(value) for value in values]
            columns.append([value for value, count in zip(values, counts, strict=True) for _ in range(count)])
        columns.append(np.repeat([image_set.number for image_set, _ in measured], counts))
        if self.located:
            regions = [measurement.regions for _, measurement in measured]
            number, box, center, border = (
                np.concatenate([getattr(part, name) for part in regions])
                for name in ("object_number", "box", "center", "border")
            )
            y0, x0, y1, x1 = box.T
            columns += [number, center[:, 1], center[:, 0], x0, y0, x1, y1, border.astype(np.int8)]
        columns += list(np.concatenate([measurement.features for _, measurement in measured]).T)
        schema = self.schema()
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def layout_of(image_sets: Sequence[ImageSet], channels: Sequence[str], objects: str, dimension: int = 256) -> Layout:
    """The layout of the table of these image sets; their metadata have one type per name."""
    metadata: dict[str, type] = {}
    for image_set in image_sets:
        for name, value in image_set.metadata.items():
            kind = type(value) if type(value) in (int, float, str) else str
            metadata[name] = kind if metadata.get(name, kind) is kind else str
    return Layout(objects, tuple(channels), metadata, dimension)
