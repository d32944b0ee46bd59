"""What each ingredient of the training is worth: short runs of equal cost that differ in one thing.

    python benchmarks/ablation.py --arms base,neighbours      # train and judge these arms, one after the other
    python benchmarks/ablation.py --report benchmarks/results # the table of all arms that were run

An arm's result lies in out/ablation/ARM.json and is not computed again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from arms import Network, microsnoop
from eval_sets import EvalSet, read_set
from representation import REPOSITORY, choices, predict

from microsnoop_engine.checkpoints import read_card
from microsnoop_engine.pool import read_pool
from microsnoop_engine.scores import score_predictions
from microsnoop_engine.telling import Teller
from microsnoop_engine.training import export, train
from microsnoop_engine.training_batches import Batches
from microsnoop_engine.training_config import make_config
from microsnoop_engine.whitening import fit_whitening

POOL = REPOSITORY.parent / "shared" / "data" / "pool"
SCORES = ("knn", "linear", "knn, whitened", "linear, whitened")
SETS = ("mitocheck_phenotype", "yeast_protein", "wbc_multibatch", "chula_rbc12")
BASE = {"crop": 64, "batch": 128, "candidates": 1, "scale_jitter": 2.0, "scale_low": 0.6, "scale_high": 1.6}
MAGNIFIED = BASE | {"scale_low": 0.7, "scale_high": 3.5, "scale_jitter": 1.25}
MIXED = MAGNIFIED | {"categories": ("fluorescence+phase+brightfield+tissue+histology+em",)}
TOGETHER = MIXED | {"places_per_image": 4}
MASKED = {"crop": 64, "patch": 8, "batch": 32, "scale_low": 0.7, "scale_high": 3.5}


HOW = (
    "`python benchmarks/ablation.py`, then `python benchmarks/ablation.py --report benchmarks/results`. Mean balanced "
    "accuracy (%) on MitoCheck, yeast, white blood cells and red blood cells, about 300 cells each resized to 224 "
    "pixels, neighbours and probes as in representation.md; 'whitened' after whitening on training images. One seed "
    "per arm: differences under two or three points mean nothing. One thread per arm, other runs beside it: read the "
    "minutes as what was spent, not as speed."
)


@dataclass(frozen=True)
class Recipe:
    """An arm: what is said of it, what it starts from and changes, and its budget.

    Attributes
    ----------
    title, preset : str
    changes : dict
    samples : int
        Crops or places. Within a table arms cost about the same time: dearer samples, fewer of them.
    """

    title: str
    preset: str
    changes: dict
    samples: int


def contrast(title: str, changes: dict, samples: int = 24000) -> Recipe:
    """An arm of the contrast objective."""
    return Recipe(title, "contrast", changes, samples)


def paper(title: str, samples: int = 6000, **changes) -> Recipe:
    """An arm of the paper's objective."""
    return Recipe(title, "paper", MASKED | changes, samples)


TABLES = {
    "Views, crops and batches of the contrast objective": {
        "magnified": contrast("64 px crops magnified 0.7 to 3.5 times, both views alike within 1.25", MAGNIFIED),
        "base": contrast("magnified 0.6 to 1.6 times, views alike within 2", BASE),
        "decorrelated": contrast("magnified + decorrelation of the embedding", MAGNIFIED | {"decorrelation": 0.1}),
        "mixed": contrast("magnified, every batch of all categories", MIXED),
        "neighbours": contrast("magnified, four places per image", MAGNIFIED | {"places_per_image": 4}),
        "together": contrast("mixed and neighbours", TOGETHER),
        "selected": contrast(
            "together, the most varied of three places, a quarter of the crops padded",
            TOGETHER | {"candidates": 3, "padding": 0.25},
        ),
    },
    "Objective, mask ratio and architecture": {
        "mask 5": paper("the paper's objective, 5 % masked", mask_ratio=0.05),
        "mask 25": paper("the paper's objective, 25 % masked", mask_ratio=0.25),
        "mask 50": paper("the paper's objective, 50 % masked", mask_ratio=0.5),
        "mask 75": paper("the paper's objective, 75 % masked", mask_ratio=0.75),
        "masked pixels": paper("25 % masked, masked pixels weighted 10", masked_weight=10.0),
        "vit 75": paper("ViT, masked autoencoder, 75 % masked", 12000, architecture="vit", mask_ratio=0.75),
        "contrast": contrast("'together' of the table above at this budget", TOGETHER, 6000),
    },
}
ARMS = {name: recipe for table in TABLES.values() for name, recipe in table.items()}


def main() -> None:
    """Run arms, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=choices(tuple(ARMS)), default=list(ARMS))
    parser.add_argument("--limit", type=int, default=300, help="cells per set")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "out" / "ablation")
    parser.add_argument("--report", type=Path, help="folder for ablation.md")
    options = parser.parse_args()
    if options.report:
        (options.report / "ablation.md").write_text(as_markdown(options.folder))
        return
    torch.set_num_threads(options.threads)
    for name in options.arms:
        result = options.folder / f"{name}.json"
        if not result.exists():
            result.write_text(json.dumps(run(name, options), indent=1))


def run(name: str, options: argparse.Namespace) -> dict:
    """Train an arm, unless its weights are there, and judge it."""
    recipe = ARMS[name]
    folder = options.folder / name.replace(" ", "-")
    weights = folder / "weights.safetensors"
    if not weights.exists():
        shutil.rmtree(folder, ignore_errors=True)
        batch = make_config(recipe.preset, recipe.changes).batch
        epochs = recipe.samples // batch // 10
        schedule = {"images_per_epoch": 10 * batch, "epochs": epochs, "warmup_epochs": max(epochs // 12, 1)}
        compiled = recipe.preset == "contrast"  # torch.compile of PyTorch 2.13 fails on the CPU's masked reconstruction
        train(POOL, folder, recipe.preset, recipe.changes | schedule, compiled=compiled, teller=Teller(quiet=True))
        export(folder, weights, name, "", encoder_only=True)
    training = read_card(weights).training
    result = {"minutes": training["hours"] * 60, "samples": training["samples_seen"]}
    result |= judge(microsnoop(weights, options.threads), options.limit)
    print(name, {key: round(100 * np.mean(list(v.values())), 1) for key, v in result.items() if isinstance(v, dict)})
    return result


def judge(network: Network, limit: int) -> dict[str, dict[str, float]]:
    """Balanced accuracy by score and set."""
    matrix, offset = fit_whitening(pool_embeddings(network))
    found: dict[str, dict[str, float]] = {score: {} for score in SCORES}
    for name in SETS:
        cells = read_set(name, limit)
        features = network.cells(cells.images, "resize")
        channels = features.reshape(len(features), -1, network.dimension)
        white = channels @ matrix + offset
        white /= np.linalg.norm(white, axis=2, keepdims=True)
        for tail, x in (("", features), (", whitened", white.reshape(len(white), -1))):
            for score in ("knn", "linear"):
                found[score + tail][name] = balanced_accuracy(score, x, cells)
    return found


def balanced_accuracy(score: str, features: np.ndarray, cells: EvalSet) -> float:
    """Of the set's protocol."""
    return score_predictions(cells.labels, predict(score, features, cells), cells.groups)["balanced_accuracy"].value


def pool_embeddings(network: Network, steps: int = 25) -> np.ndarray:
    """Embeddings of crops of the training images as large as cells, magnified to the network's input."""
    config = make_config("contrast", {"crop": 224, "batch": 64, "scale_low": 224 / 130, "scale_high": 224 / 40})
    pool = read_pool(POOL)
    batches = Batches(pool, config, torch.device("cpu"))
    embedder = network.open()
    return np.concatenate([embedder.embed(batches.crops(batches.places(step)).numpy()) for step in range(steps)])


def as_markdown(folder: Path) -> str:
    """The tables of all results."""
    parts = ["# What each ingredient of the training is worth", HOW]
    for title, recipes in TABLES.items():
        lines = ["| arm | what | samples | minutes | " + " | ".join(SCORES) + " |", "|---" * (4 + len(SCORES)) + "|"]
        for name, recipe in recipes.items():
            path = folder / f"{name}.json"
            if not path.exists():
                lines.append(f"| {name} | {recipe.title} |" + " not run |" + " |" * (1 + len(SCORES)))
                continue
            result = json.loads(path.read_text())
            means = [f"{100 * np.mean(list(result[score].values())):.1f}" for score in SCORES]
            cols = [name, recipe.title, str(result["samples"]), f"{result['minutes']:.0f}", *means]
            lines.append("| " + " | ".join(cols) + " |")
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
