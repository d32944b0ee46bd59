"""What training is worth: the same network with random weights, on the same images, as a baseline."""

from microsnoop_engine import aggregate, evaluate
from microsnoop_engine.cli.main import main
from microsnoop_engine.images.synthetic import write_screen


def test_trained_weights_beat_random_ones_on_the_demo_screen(tmp_path, capsys):
    screen = write_screen(tmp_path / "screen")
    untrained = str(tmp_path / "untrained.safetensors")
    assert main(["weights", "untrained", "fast", "--seed", "0", "--out", untrained]) == 0
    wells = {}
    for name, weights in {"trained": "fast", "untrained": untrained}.items():
        folder = tmp_path / name
        assert main(["profile", str(screen), "--model", weights, "--out", str(folder), "--quiet"]) == 0
        wells[name] = tmp_path / f"{name}.parquet"
        aggregate(folder, out=wells[name])
    settings = {"groups": "Metadata_Plate", "neighbors": 3, "features": "microsnoop"}
    tables = {"untrained": wells["untrained"]}
    scores = evaluate(wells["trained"], "Metadata_Phenotype", baseline=True, baseline_tables=tables, **settings)
    value = {score["features"]: score["value"] for score in scores if score["task"] == "knn, accuracy"}
    assert value["768 features"] > 0.1 + max(value[name] for name in ("untrained", "mean intensity", "object count"))
