"""What each ingredient of the training is worth: short runs of equal cost that differ in one thing.

    python benchmarks/ablation.py --arms base,neighbors      # train and judge these arms, one after the other
    python benchmarks/ablation.py --report benchmarks/results # the tables of all arms that were run

An arm's result lies in out/ablation/ARM.json and is not computed again; --report adds it to ablation.json, which keeps
those of other machines. The arms of objects need `python benchmarks/targets.py` first.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from ablation_arms import ARMS, TABLES, Table
from arms import Network, microsnoop
from eval_sets import PROTOCOLS, EvalSet, read_development_set, read_set
from get_data import DATA
from representation import REPOSITORY, choices, predict

from microsnoop_engine.evaluation.scores import score_predictions
from microsnoop_engine.model.checkpoints import find_weights, read_card
from microsnoop_engine.trainer.batches import Batches
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.pool import read_pool
from microsnoop_engine.trainer.train import train
from microsnoop_engine.trainer.whitening import fit_whitening

POOL = DATA / "pool"
SETS = ("mitocheck_phenotype", "yeast_protein", "wbc_multibatch", "chula_rbc12")

HOW = (
    "`python benchmarks/ablation.py`, then `python benchmarks/ablation.py --report benchmarks/results`. Mean balanced "
    "accuracy (%) on MitoCheck, yeast, white blood cells and red blood cells, about 300 cells each resized to 224 "
    "pixels, neighbors and probes as in representation.md; 'whitened' after whitening on training images. One seed "
    "per arm: differences under two or three points mean nothing. One thread per arm, other runs beside it: read the "
    "minutes as what was spent, not as speed."
)


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
        report(options.folder, options.report)
        return
    torch.set_num_threads(options.threads)
    for name in options.arms:
        result = options.folder / f"{name}.json"
        if not result.exists():
            result.write_text(json.dumps(run(name, options), indent=1))


def run(name: str, options: argparse.Namespace) -> dict:
    """Train an arm, unless its weights are there, and judge it."""
    recipe, table = ARMS[name]
    folder = options.folder / name.replace(" ", "-")
    weights = folder / "weights.safetensors"
    if not recipe.samples:
        weights = find_weights(recipe.changes["init_weights"])
    elif not weights.exists():
        shutil.rmtree(folder, ignore_errors=True)
        config = make_config("paper", recipe.changes)
        batch = config.batch
        epochs = recipe.samples // batch // 10
        schedule = {"images_per_epoch": 10 * batch, "epochs": epochs, "warmup_epochs": max(epochs // 12, 1)}
        compiled = not config.reconstruction_weight  # PyTorch 2.13 fails to compile it on a CPU
        plain = {} if table.continued else {"whitening": 0}
        train(
            POOL,
            folder,
            "paper",
            recipe.changes | schedule | plain,
            compiled=compiled,
        )
        export(folder, weights, name, "", encoder_only=True)
    training = read_card(weights).training if recipe.samples else {"hours": 0, "samples_seen": 0}
    result = {"minutes": training["hours"] * 60, "samples": training["samples_seen"]}
    network = microsnoop(weights, options.threads)
    result |= judge_continued(network) if table.continued else judge(network, options.limit)
    print(name, {key: f"{100 * np.mean(list(v.values())):.1f}" for key, v in result.items() if isinstance(v, dict)})
    return result


def judge_continued(network: Network) -> dict[str, dict[str, float]]:
    """Balanced accuracy by score and set, on the development cells, resized to what the weights suit best."""
    found: dict[str, dict[str, float]] = {"knn": {}, "linear": {}}
    for name in PROTOCOLS:
        cells = read_development_set(name)
        features = network.cells(cells.images, "fit")
        for score, by_set in found.items():
            by_set[name] = balanced_accuracy(score, features, cells)
    return found


def judge(network: Network, limit: int) -> dict[str, dict[str, float]]:
    """Balanced accuracy by score and set; twice, as the embeddings are and whitened on training images."""
    matrix, offset = fit_whitening(pool_embeddings(network))
    found: dict[str, dict[str, float]] = {score: {} for score in TABLES[0].scores}
    for name in SETS:
        cells = read_set(name, limit)
        features = network.cells(cells.images, "224")
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
    config = make_config("base", {"crop": 224, "batch": 64, "scale_low": 224 / 130, "scale_high": 224 / 40})
    pool = read_pool(POOL)
    batches = Batches(pool, config, torch.device("cpu"))
    embedder = network.open()
    return np.concatenate([embedder.embed(batches.crops(batches.draw(step)).numpy()) for step in range(steps)])


def report(folder: Path, results: Path) -> None:
    """Add the results in a folder to those that are known, and write ablation.json and ablation.md."""
    path = results / "ablation.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, (_, table) in ARMS.items():
        if (folder / f"{name}.json").exists():
            result = json.loads((folder / f"{name}.json").read_text())
            means = {score: round(100 * np.mean(list(result[score].values())), 1) for score in table.scores}
            known[name] = {"samples": result["samples"], "minutes": round(result["minutes"])} | means
    path.write_text(json.dumps(known, indent=1) + "\n")
    parts = ["# What each ingredient of the training is worth", HOW, *(as_markdown(table, known) for table in TABLES)]
    (results / "ablation.md").write_text("\n\n".join(parts) + "\n")


def as_markdown(table: Table, known: dict[str, dict[str, float]]) -> str:
    """A table with what is known of its arms."""
    columns = ("samples", "minutes", *table.scores)
    lines = ["| arm | what | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for name, recipe in table.arms.items():
        values = [str(known[name][column]) if name in known else "not run" for column in columns]
        lines.append(f"| {name} | {recipe.title} | " + " | ".join(values) + " |")
    return f"## {table.title}\n\n{table.how}\n\n" + "\n".join(lines)


if __name__ == "__main__":
    main()
