"""Draw a small synthetic screen like Cell Painting: seeded, with known phenotypes, doses, plate effects and nuclei.

Everything is drawn from formulas without an image of a real cell: a method that works here may fail on real cells.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError

CHANNELS = ("DNA", "ER", "Actin")
WELLS = tuple(f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7))
DOSES = (0.5, 1.0)
"""Fractions of the full effect; every compound has both."""
_CELL_RADIUS = 40.0  # pixels
_PHOTONS = np.array([700.0, 420.0, 520.0])  # of each channel, where its stain has the relative brightness 1

Floats = NDArray[np.floating[Any]]
Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Look:
    """The look of one kind of cell, or of n cells.

    Attributes
    ----------
    nucleus_radius : float or array (n,)
        Pixels.
    nucleus_intensity, er_intensity : float or array (n,)
        Relative brightness of the stain.
    fragmentation : float or array (n,)
        0 is one smooth nucleus, 1 are lobes that only just touch.
    er_coarseness : float or array (n,)
        Share of swollen cords in place of the fine network, 0 to 1.
    elongation : float or array (n,)
        Length of the cell over its width, at constant area.
    fibres : float or array (n,)
        Relative brightness of the actin fibres along the cell.
    """

    nucleus_radius: float | Floats = 13.0
    nucleus_intensity: float | Floats = 1.0
    fragmentation: float | Floats = 0.0
    er_intensity: float | Floats = 1.0
    er_coarseness: float | Floats = 0.0
    elongation: float | Floats = 1.25
    fibres: float | Floats = 0.15

    def toward(self, other: Look, response: Floats) -> Look:
        """Return the looks of cells between this look and another.

        Parameters
        ----------
        other : Look
        response : array (n,)
            Each cell's share of the way, 0 for this look and 1 for the other.

        Returns
        -------
        Look
            Of arrays (n,).
        """
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return Look(**{name: start + response * (end - start) for name, (start, end) in pairs.items()})


PHENOTYPES = {
    "control": Look(),
    "compact_nuclei": Look(nucleus_radius=9.0, nucleus_intensity=2.4),
    "fragmented_nuclei": Look(fragmentation=1.0, nucleus_intensity=1.3),
    "coarse_er": Look(er_coarseness=1.0, er_intensity=1.5),
    "stretched_actin": Look(elongation=3.6, fibres=1.1),
}
COMPOUNDS = {f"SYN-{i}{j}": effect for i, effect in enumerate(PHENOTYPES) if effect != "control" for j in (1, 2)}
"""Invented compounds with their phenotypes; two of each, so that every compound has another of the same effect."""


@dataclass(frozen=True)
class Batch:
    """The staining, microscope and camera that the wells of one plate share.

    Attributes
    ----------
    stain : tuple of float
        Relative brightness of each channel.
    background : float
        Photons per pixel.
    gain : float
        Counts per photon.
    offset : float
        Counts in the dark.
    read_noise : float
        Standard deviation, in photons.
    vignetting : float
        Share of the light lost in the darkest corner, 0 to 1.
    center : tuple of float
        Optical center (y, x), in fractions of the field.
    blur : float
        Standard deviation of the point spread function, in pixels.
    """

    stain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    background: float = 30.0
    gain: float = 8.0
    offset: float = 200.0
    read_noise: float = 3.0
    vignetting: float = 0.2
    center: tuple[float, float] = (0.5, 0.5)
    blur: float = 1.1

    @classmethod
    def of_plate(cls, plate: int, seed: int = 0) -> Batch:
        """Draw the batch of a plate.

        Parameters
        ----------
        plate : int
            Index of the plate, from 0.
        seed : int
            Of the screen, from 0.

        Returns
        -------
        Batch
        """
        rng = np.random.default_rng([seed, plate])
        # Steps of the golden ratio keep neighboring plates at least 0.38 of the range apart.
        phase = (np.random.default_rng(seed).random() + plate * 0.618034) % 1.0
        return cls(
            stain=tuple(rng.uniform(0.8, 1.25, size=len(CHANNELS)).tolist()),
            background=20 + 60 * phase,
            gain=6 + 5 * phase,
            offset=150 + 250 * phase,
            read_noise=2 + 5 * phase,
            vignetting=0.2 + 0.25 * phase,
            center=(0.5 + 0.3 * math.sin(2 * math.pi * phase), 0.5 + 0.3 * math.cos(2 * math.pi * phase)),
            blur=rng.uniform(1.0, 1.4),
        )

    def photograph(self, scene: Floats, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Photograph a scene.

        Parameters
        ----------
        scene : array (3, h, w)
            Relative brightness of the stains, from 0.
        rng : numpy.random.Generator
            Of the noise.

        Returns
        -------
        array (3, h, w), uint16
            The counts of the camera.
        """
        light = scene * (_PHOTONS * self.stain)[:, None, None]
        sharp, haze = (ndimage.gaussian_filter(light, (0, blur, blur)) for blur in (self.blur, 10))
        y, x = (np.linspace(0, 1, size) - middle for size, middle in zip(scene.shape[1:], self.center, strict=True))
        distance = y[:, None] ** 2 + x**2
        photons = (0.85 * sharp + 0.15 * haze + self.background) * (1 - self.vignetting * distance / distance.max())
        detected = rng.poisson(photons) + rng.normal(0, self.read_noise, photons.shape)
        counts: Floats = np.clip(np.rint(self.offset + self.gain * detected), 0, 65535)
        return counts.astype(np.uint16)


def render_field(
    phenotype: str,
    dose: float,
    rng: np.random.Generator,
    shape: tuple[int, int] = (256, 256),
    n_cells: int = 11,
    batch: Batch | None = None,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Draw one field of view.

    Time and memory grow with its pixels times its cells: meant for up to 512 x 512 pixels.

    Parameters
    ----------
    phenotype : str
        A key of `PHENOTYPES`.
    dose : float
        Mean share of the full effect, 0 to 1; single cells respond a little more or less.
    rng : numpy.random.Generator
        The only source of randomness: the same state draws the same pixels.
    shape : tuple of int
        Height and width in pixels, at least 64 each.
    n_cells : int
        Number of cells; fewer where the field has no room for more.
    batch : Batch, optional
        Staining, microscope and camera; the default is a plate without a batch effect.

    Returns
    -------
    image : array (3, h, w), uint16
        The channels in the order of `CHANNELS`.
    labels : array (h, w), uint16
        The nuclei, numbered from 1 without gaps; all lobes of a nucleus share a number.

    Raises
    ------
    InputError
        For an unknown phenotype or a value out of range.
    """
    if phenotype not in PHENOTYPES:
        raise InputError(f"`phenotype` {phenotype!r} is unknown: choose one of {', '.join(PHENOTYPES)}")
    if not 0 <= dose <= 1:
        raise InputError(f"`dose` is a share of the full effect, 0 to 1; got {dose}")
    if min(shape) < 64 or n_cells < 1:
        raise InputError(
            f"a field needs 64 x 64 pixels and one cell at least; got `shape` {shape}, `n_cells` {n_cells}"
        )

    centers = _scatter(rng, n_cells, shape)
    n = len(centers)
    response = np.clip(rng.normal(dose, 0.25 * dose, n), 0, 1.3)
    look = PHENOTYPES["control"].toward(PHENOTYPES[phenotype], response)

    # Every cell has its own axes, u along it and v across it: both (n, h, w), pixels from its center.
    y, x = (axis - _each(middle) for axis, middle in zip(np.indices(shape, np.float32), centers.T, strict=True))
    angle = _each(rng.uniform(0, np.pi, n))
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x

    nuclei = _nuclear_distance(rng, u, v, look) + 0.06 * _noise(rng, shape, 5)
    nucleus, inside = nuclei.argmin(axis=0), nuclei.min(axis=0)
    is_nucleus = inside < 1

    size = _CELL_RADIUS * np.exp(rng.normal(0, 0.12, n))
    length, width = _each(size * np.sqrt(look.elongation)), _each(size / np.sqrt(look.elongation))
    cells = np.hypot(u / length, v / width) + 0.1 * _noise(rng, shape, 9) + 0.04 * _noise(rng, shape, 3)
    cell = np.where(is_nucleus, nucleus, cells.argmin(axis=0))
    nearest, second = np.partition(np.concatenate([cells, cells[:1] + 9]), 1, axis=0)[:2]
    depth = np.minimum(1 - nearest, second - nearest)  # distance to the rim or to the neighbor, in cell radii
    body = np.clip(5 * (1 - nearest), 0, 1) * np.clip(0.5 + 3 * depth, 0, 1)

    ploidy = np.where(rng.random(n) < 0.2, 1.5, 1.0) * np.exp(rng.normal(0, 0.12, n))
    chromatin = 1 + 0.16 * _noise(rng, shape, 1.5) - 0.35 * (_noise(rng, shape, 2.5) > 1.5)
    dna = (look.nucleus_intensity * ploidy)[nucleus] * np.sqrt(np.clip(2.5 * (1 - inside), 0, 1)) * chromatin

    fine, swollen = (np.exp(-((_noise(rng, shape, grain) / 0.55) ** 2)) for grain in (1.8, 4.5))
    coarse = np.clip(np.asarray(look.er_coarseness)[cell], 0, 1)
    around = np.exp(-2.2 * np.clip(nearest, 0, None)) * np.where(is_nucleus, 0.3, 1)
    er_stain, actin_stain = np.exp(rng.normal(0, 0.15, (2, n)))
    er = (look.er_intensity * er_stain)[cell] * body * around * (0.3 + 1.3 * (fine + coarse * (swollen - fine)))

    along, across = (np.take_along_axis(axis, cell[None], axis=0)[0] for axis in (u, v))
    across = across + 37 * cell + 2.5 * _noise(rng, shape, 14)
    bundles = _noise(rng, (256, 256), 1.3)
    strands = ndimage.map_coordinates(bundles, [across, along / 12 + 53 * cell], order=1, mode="grid-wrap")
    cortex = 0.55 * np.exp(-((depth / 0.09) ** 2)) * (nearest < 1.1) * (1 + 0.35 * _noise(rng, shape, 4))
    actin = actin_stain[cell] * (body * (0.14 + np.asarray(look.fibres)[cell] * np.clip(strands, 0, None)) + cortex)

    image = (batch or Batch()).photograph(np.clip([dna + 0.03 * body, er, actin], 0, None), rng)
    labels = np.unique(np.where(is_nucleus, nucleus + 1, 0), return_inverse=True)[1]
    return image, labels.reshape(shape).astype(np.uint16)


def write_screen(
    folder: str | Path, plates: int = 2, seed: int = 0, shape: tuple[int, int] = (256, 256), n_cells: int = 11
) -> Path:
    """Draw a screen and write it to a folder: 24 wells a plate, 8 of DMSO and 16 of 8 compounds at two doses.

    The folder gets ``images/PLATE/WELL_s1_CHANNEL.tif``, ``labels/PLATE/WELL_s1_Nuclei.tif`` (the true nuclei),
    ``platemap.csv``, ``LoadData.csv`` (its paths relative to itself, so that the folder can be moved) and
    ``synthetic_screen.json`` (its parameters), all at once when everything is drawn. A folder that already holds the
    same screen is left as it is.

    Parameters
    ----------
    folder : str or Path
        New, empty, or holding the same screen.
    plates : int
        Number of plates, each with its own layout and batch effect.
    seed : int
        From 0. The pixels of a well depend on the seed, its plate and its position.
    shape : tuple of int
        Height and width of a field in pixels, at least 64 each.
    n_cells : int
        Mean number of cells in a field.

    Returns
    -------
    Path
        The ``LoadData.csv``.

    Raises
    ------
    InputError
        If the folder holds anything else, or a value is out of range.
    """
    if plates < 1 or seed < 0:
        raise InputError(f"a screen needs one plate at least and a seed from 0; got `plates` {plates}, `seed` {seed}")
    folder, card = Path(folder), "synthetic_screen.json"
    # this name, although the module has moved, is in the folders of earlier versions, which are to be kept
    parameters = {"generator": "microsnoop_engine.synthetic 1", "plates": plates, "seed": seed, "n_cells": n_cells}
    recipe = json.dumps(parameters | {"height": shape[0], "width": shape[1]}, indent=2) + "\n"
    if (folder / card).is_file() and (folder / card).read_text() == recipe:
        return folder / "LoadData.csv"
    draft = folder / ".unfinished"  # inside, because an empty folder may be a mount point that cannot be replaced
    if folder.exists() and (not folder.is_dir() or any(item != draft for item in folder.iterdir())):
        raise InputError(f"'{folder}' already holds something else: choose a new or empty `folder` for the screen")

    shutil.rmtree(draft, ignore_errors=True)
    try:
        rows = [row for plate in range(plates) for row in _write_plate(draft, plate, seed, shape, n_cells)]
        files_only = ("FileName_", "PathName_", "Metadata_Site")
        _write_csv(draft / "platemap.csv", [{k: row[k] for k in row if not k.startswith(files_only)} for row in rows])
        _write_csv(draft / "LoadData.csv", rows)
        (draft / card).write_text(recipe)
        for name in ("images", "labels", "platemap.csv", "LoadData.csv", card):
            (draft / name).rename(folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder / "LoadData.csv"


def _each(values: Any) -> NDArray[np.float32]:
    """Shape one value per cell (n,) to combine with (n, h, w)."""
    return np.asarray(values, np.float32)[:, None, None]


def _scatter(rng: np.random.Generator, n: int, shape: tuple[int, int]) -> Floats:
    """Draw up to n centers (n, 2), far enough apart that no two nuclei touch."""
    centers: list[Floats] = []
    for candidate in rng.uniform(6, np.array(shape) - 6, size=(60 * n, 2)):
        if len(centers) < n and all(np.hypot(*(candidate - other)) > 37 for other in centers):
            centers.append(candidate)
    return np.array(centers)


def _noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> NDArray[np.float32]:
    """Draw smooth noise of mean 0 and variance 1; `grain` is the standard deviation of its blobs in pixels."""
    noise: NDArray[np.float32] = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), grain, mode="wrap")
    normalized: NDArray[np.float32] = (noise - noise.mean()) / noise.std()
    return normalized


def _nuclear_distance(rng: np.random.Generator, u: Floats, v: Floats, look: Look) -> Floats:
    """Draw nuclei: the distance (n, h, w) to each, below 1 inside it.

    A nucleus is a union of discs, which coincide if it is healthy.
    """
    n = len(u)
    radius = look.nucleus_radius * np.exp(rng.normal(0, 0.06, n))
    stretch, turn = np.sqrt(rng.uniform(1.0, 1.35, n)), rng.uniform(0, 2 * np.pi, n)
    apart = np.minimum(look.fragmentation, 1)
    nearest = np.full_like(u, np.inf)
    for lobe in range(5 if apart.any() else 1):
        angle = turn + 2 * np.pi * lobe / 5 + rng.normal(0, 0.3, n)
        shift = radius * apart * rng.uniform(0.45, 0.95, n)
        size = radius * (1 - apart * rng.uniform(0.45, 0.65, n))
        du = u / _each(stretch) - _each(shift * np.cos(angle))
        dv = v * _each(stretch) - _each(shift * np.sin(angle))
        nearest = np.minimum(nearest, np.hypot(du, dv) / _each(size))
    return nearest


def _write_plate(folder: Path, plate: int, seed: int, shape: tuple[int, int], n_cells: int) -> list[Row]:
    """Draw and write the images of a plate, and return its rows of the LoadData CSV."""
    name = f"Plate{plate + 1}"
    images, labels = folder / "images" / name, folder / "labels" / name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    treatments = [(compound, dose) for compound in COMPOUNDS for dose in DOSES]
    treatments += [("DMSO", 0.0)] * (len(WELLS) - len(treatments))
    layout = np.random.default_rng([seed, plate, len(WELLS)]).permutation(len(WELLS))
    rows = []
    for position, well in enumerate(WELLS):
        compound, dose = treatments[layout[position]]
        phenotype = COMPOUNDS.get(compound, "control")
        rng = np.random.default_rng([seed, plate, position])
        cells = round(n_cells * rng.uniform(0.8, 1.2))
        image, nuclei = render_field(phenotype, dose, rng, shape, cells, Batch.of_plate(plate, seed))
        row: Row = {}
        for channel, pixels in zip(CHANNELS, image, strict=True):
            row |= {f"FileName_{channel}": f"{well}_s1_{channel}.tif", f"PathName_{channel}": f"images/{name}"}
            tifffile.imwrite(images / f"{well}_s1_{channel}.tif", pixels, compression="zlib", metadata=None)
        tifffile.imwrite(labels / f"{well}_s1_Nuclei.tif", nuclei, compression="zlib", metadata=None)
        row |= {"Metadata_Plate": name, "Metadata_Well": well, "Metadata_Site": 1, "Metadata_Compound": compound}
        row |= {"Metadata_Dose": dose, "Metadata_Role": "treated" if dose else "negative"}
        rows.append(row | {"Metadata_Phenotype": phenotype})
    return rows


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
