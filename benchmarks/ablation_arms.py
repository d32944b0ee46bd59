"""The arms of the ablation: what each trains, and on which cells it is judged.

The published figures are of the trainer before its head had a BatchNorm and both views varied around a place.
"""

from __future__ import annotations

from dataclasses import dataclass

from representation import REPOSITORY

from microsnoop_engine.trainer.config import ALL_CATEGORIES

TARGETS = REPOSITORY / "out" / "targets.npz"
CONTRAST = {
    "categories": ALL_CATEGORIES,
    "crop": 64,
    "batch": 128,
    "reconstruction_weight": 0.0,
    "contrast_weight": 1.0,
    "scale_low": 0.7,
    "scale_high": 5.6,
    "scale_jitter": 1.25,
    "crops_per_image": 4,
    "crop_candidates": 2,
    "intensity": 0.5,
    "whitening": 2048,
}
BASE = {"crop": 64, "batch": 128, "crop_candidates": 1, "scale_jitter": 2.0, "scale_low": 0.6, "scale_high": 1.6}
MAGNIFIED = BASE | {"scale_low": 0.7, "scale_high": 3.5, "scale_jitter": 1.25}
MIXED = MAGNIFIED | {"categories": ALL_CATEGORIES}
TOGETHER = MIXED | {"crops_per_image": 4}
MASKED = {"crop": 64, "patch": 8, "batch": 32, "scale_low": 0.7, "scale_high": 3.5}
CONTINUED = {"init_weights": "microsnoop-base", "frozen_stages": 2, "learning_rate": 5e-4}
OBJECTS = CONTINUED | {
    "crop": 112,
    "batch": 64,
    "targets": str(TARGETS),
    "scale_jitter": 1.15,
    "shift": 0.08,
    "padding": 0.3,
}


@dataclass(frozen=True)
class Recipe:
    """An arm: what is said of it, what it changes in the paper's recipe, and its budget.

    Attributes
    ----------
    title : str
    changes : dict
    samples : int
        Crops or places; 0: its start is judged as it is. Within a table arms cost about the same time: dearer samples,
        fewer of them.
    """

    title: str
    changes: dict
    samples: int


@dataclass(frozen=True)
class Table:
    """Arms that are compared with each other.

    Attributes
    ----------
    title, how : str
    arms : dict of str to Recipe
    continued : bool
        Whether they start from weights: these are judged on the development cells, as they come out of the training.
    """

    title: str
    how: str
    arms: dict[str, Recipe]
    continued: bool = False

    @property
    def scores(self) -> tuple[str, ...]:
        """What the arms are judged by."""
        return ("knn", "linear") if self.continued else ("knn", "linear", "knn, whitened", "linear, whitened")


def contrast(title: str, changes: dict, samples: int = 24000) -> Recipe:
    """An arm of the contrast objective."""
    return Recipe(title, CONTRAST | changes, samples)


def paper(title: str, samples: int = 6000, **changes) -> Recipe:
    """An arm of the paper's objective."""
    return Recipe(title, MASKED | changes, samples)


def objects(title: str, **changes) -> Recipe:
    """An arm that learns from the objects of benchmarks/targets.py."""
    return contrast(title, OBJECTS | changes, 9000)


TABLES = (
    Table(
        "Views, crops and batches of the contrast objective",
        "From nothing.",
        {
            "magnified": contrast("64 px crops magnified 0.7 to 3.5 times, both views alike within 1.25", MAGNIFIED),
            "base": contrast("magnified 0.6 to 1.6 times, views alike within 2", BASE),
            "decorrelated": contrast(
                "magnified + decorrelation of the embedding", MAGNIFIED | {"decorrelation_weight": 0.1}
            ),
            "mixed": contrast("magnified, every batch of all categories", MIXED),
            "neighbors": contrast("magnified, four places per image", MAGNIFIED | {"crops_per_image": 4}),
            "together": contrast("mixed and neighbors", TOGETHER),
            "selected": contrast(
                "together, the most varied of three places, a quarter of the crops padded",
                TOGETHER | {"crop_candidates": 3, "padding": 0.25},
            ),
        },
    ),
    Table(
        "Objective, mask ratio and architecture",
        "From nothing.",
        {
            "mask 5": paper("the paper's objective, 5 % masked", mask_ratio=0.05),
            "mask 25": paper("the paper's objective, 25 % masked", mask_ratio=0.25),
            "mask 50": paper("the paper's objective, 50 % masked", mask_ratio=0.5),
            "mask 75": paper("the paper's objective, 75 % masked", mask_ratio=0.75),
            "masked pixels": paper("25 % masked, masked pixels weighted 10", masked_weight=10.0),
            "vit 75": paper("ViT, masked autoencoder, 75 % masked", 12000, architecture="vit", mask_ratio=0.75),
            "contrast": contrast("'together' of the table above at this budget", TOGETHER, 6000),
        },
    ),
    Table(
        "Objects and what classical features say of them",
        "Short runs from the weights of before (sha256 315795de.., commit 982cf32), two stages frozen. Judged on about "
        "400 cells of each of the six sets that representation.md does not use, resized to 128 pixels, whitened on "
        "training images as any weights are.",
        {
            "before": contrast("the weights that the others start from", CONTINUED, 0),
            "objects": objects(
                "contrast of two views of an object that Otsu's threshold finds", distillation_weight=0.0
            ),
            "classical": objects("objects + predicting the object's classical features", distillation_weight=2.0),
        },
        continued=True,
    ),
)
ARMS = {name: (recipe, table) for table in TABLES for name, recipe in table.arms.items()}
