"""Test the demo, from its drawing to a report that finds the drawn phenotypes."""

import json
import re

import pandas as pd
from browser import browser

from microsnoop_engine.cli.main import main
from microsnoop_engine.reporting.thumbnails import SIDE


def test_the_demo_ends_with_a_report(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert "open the report in a browser:" in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "demo" / "sphered.parquet")) == 48
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    scores = {score["name"]: score for score in data["scores"]}
    assert scores["NSC"]["after"]["value"] > 0.8
    assert scores["Phenotype by neighbors"]["after"]["value"] > 0.5
    assert len(data["thumbnails"]) == 48
    with browser() as window:
        window.get((tmp_path / "demo" / "report.html").as_uri())
        window.execute_script("select(arguments[0])", 7)
        shown = (
            "const [picture] = document.querySelectorAll('#details img'); return [picture.naturalWidth, picture.alt]"
        )
        assert window.execute_script(shown) == [3 * SIDE, f"some cells of {data['names'][7]}"]
    capsys.readouterr()
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.count("done before") == 4
