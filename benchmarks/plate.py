"""A 96-well plate, BBBC013 (FKHR-GFP, DNA): controls told apart, dose followed, in modes cells, tile and image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from arms import CROPPING, Arm, Network, cpu_seconds, source_key
from eval_sets import FOLDER

from microsnoop_engine.evaluation.controls import between_controls, dose_correlations, z_prime
from microsnoop_engine.evaluation.metrics import knn_predict
from microsnoop_engine.evaluation.scores import score_predictions
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.regions import longer_sides, object_bounds
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei

MODES = ("cells", "cells, each", "cells, none", "tile", "image")
"""Of cells: one factor for the plate (auto), a factor for each cell, no resizing."""
DNA = 1
NEIGHBORS = 5


@dataclass(frozen=True)
class Plate:
    """Wells: images (n, 2, h, w), role ('negative', 'positive', 'treated'), row, compound and dose level (n,)."""

    images: np.ndarray
    role: np.ndarray
    row: np.ndarray
    compound: np.ndarray
    dose: np.ndarray


def read_plate(folder: Path = FOLDER) -> Plate:
    """The plate."""
    with np.load(folder / "bbbc013_translocation.npz") as data:
        return Plate(*(data[key] for key in ("images", "labels", "row", "compound", "dose_level")))


def measure_plate(networks: list[Network], cells_per_well: int, cache: Path) -> Iterator[dict]:
    """The scores of each network in each mode."""
    plate = read_plate()
    began = cpu_seconds()
    labels = [some_cells(segment_nuclei(image[DNA]), cells_per_well) for image in plate.images]
    segmentation = cpu_seconds() - began
    diameter = float(np.median(np.concatenate([longer_sides(object_bounds(label)[1]) for label in labels])))
    for network in networks:
        for mode in MODES:
            key = f"{network.key} {mode} {cells_per_well} {source_key(*CROPPING)}"
            arm = Arm(network.name, key, partial(well_features, network, mode, labels, diameter))
            features, seconds = arm.features(plate.images, cache)
            seconds += segmentation if mode.startswith("cells") else 0
            print(f"{'bbbc013':20s} {network.name}, {mode}: {seconds:6.1f} CPU s", flush=True)
            yield {"arm": network.name, "mode": mode, "cpu_seconds": seconds, **plate_scores(features, plate)}


def some_cells(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The labels of that many objects, drawn at random; the others become background."""
    numbers = np.unique(labels[labels > 0])
    if count and len(numbers) > count:
        numbers = np.random.default_rng(seed).choice(numbers, count, replace=False)
    return np.where(np.isin(labels, numbers), labels, 0)


def settings_of(mode: str, diameter: float) -> CropSettings:
    """The settings of a mode of this benchmark."""
    name, _, scale = mode.partition(", ")
    if name != "cells":
        return CropSettings(mode=name)
    return CropSettings(scale=scale) if scale else CropSettings(diameter=diameter)


def well_features(
    network: Network, mode: str, labels: list[np.ndarray], diameter: float, images: np.ndarray
) -> np.ndarray:
    """Embeddings (n, 2 * dimension) of wells: the mean over their cells, over their tiles, or of the whole image."""
    settings = settings_of(mode, diameter)
    batcher = Batcher(network.open())
    parts = [
        start_measurement(batcher, image, label, settings, network.dimension)
        for image, label in zip(images, labels, strict=True)
    ]
    batcher.flush()
    return np.stack([np.nanmean(part.features, axis=0) for part in parts])


def plate_scores(features: np.ndarray, plate: Plate) -> dict:
    """Control classification (kNN, leave-row-out), Spearman's rank correlation of activity and dose, and Z'."""
    controls = plate.role != "treated"
    predictions = knn_predict(features[controls], plate.role[controls], plate.row[controls], k=NEIGHBORS)
    scores = score_predictions(plate.role[controls], predictions, plate.row[controls])
    negative, positive = plate.role == "negative", plate.role == "positive"
    position = between_controls(features, negative, positive, plate.row)
    dose = np.where(controls, np.nan, plate.dose)
    return {
        "controls_balanced_accuracy": scores["balanced_accuracy"],
        "dose_spearman": float(np.mean(list(dose_correlations(position, dose, plate.compound).values()))),
        "z_prime": z_prime(position[negative], position[positive]),
    }
