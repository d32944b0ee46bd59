"""Test the classes of cells in the report: counted by hand, and drawn in a real browser."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from browser import browser
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.reporting.classes import class_counts, read_classes
from microsnoop_engine.reporting.roles import ColumnRoles

KEYS = ["Metadata_Plate", "Metadata_Well"]


@pytest.fixture(scope="module")
def wells():
    return screen_table().drop(columns=FEATURES)


@pytest.fixture(scope="module")
def cells(wells):
    """Ten cells of each well; every third well has four mitotic ones; one cell has no class; a strange well."""
    rows = wells[KEYS].loc[wells.index.repeat(10)].reset_index(drop=True)
    number = np.arange(len(rows))
    mitotic = (number // 10 % 3 == 0) & (number % 10 < 4)
    rows["Metadata_Class"] = np.where(mitotic, "mitotic", "interphase")
    rows.loc[9, "Metadata_Class"] = None
    strange = pd.DataFrame([["P1", "H12", "mitotic"]] * 5, columns=rows.columns)
    return pd.concat([rows, strange], ignore_index=True).assign(Metadata_Class_Probability_mitotic=0.5)


def test_counts_are_those_of_a_calculation_by_hand(wells, cells):
    panel = class_counts(cells, wells, ROLES)
    assert panel["classes"] == ["interphase", "mitotic"]
    named = cells.merge(wells, on=KEYS)
    named["name"] = named["Metadata_Compound"] + " " + named["Metadata_Dose"].astype(str)
    for name, counts, unclassified, number, low, high in zip(
        *(panel[key] for key in ("names", "counts", "unclassified", "wells", "low", "high")), strict=True
    ):
        own = named[named["name"] == name]
        assert counts == [int((own["Metadata_Class"] == kind).sum()) for kind in panel["classes"]]
        assert unclassified == int(own["Metadata_Class"].isna().sum())
        shares = (
            own.dropna(subset="Metadata_Class").groupby(KEYS)["Metadata_Class"].agg(lambda w: (w == "mitotic").mean())
        )
        assert (number, low[1], high[1]) == (
            len(shares),
            pytest.approx(shares.min()),
            pytest.approx(shares.max(), rel=1e-4),
        )
    assert sum(map(sum, panel["counts"])) + sum(panel["unclassified"]) + panel["other"] == len(cells)
    assert panel["other"] == 5
    assert [name for name, control in zip(panel["names"], panel["negative"], strict=True) if control] == ["DMSO 0.0"]


def test_wells_are_compared_by_value_and_treatments_may_be_the_cells_own(wells, cells):
    expected = class_counts(cells, wells, ROLES)
    short = cells.assign(Metadata_Well=cells["Metadata_Well"].str.replace("0", "", regex=False))
    assert class_counts(short, wells, ROLES) == expected
    own = cells.merge(wells, on=KEYS, how="left").drop(columns=KEYS)
    found = class_counts(own, wells.drop(columns=KEYS), ROLES)
    assert {name: found[name] for name in ("names", "counts", "other")} == {
        name: expected[name] for name in ("names", "counts", "other")
    }
    assert class_counts(cells, wells, ColumnRoles())["names"] == ["all cells"]


def test_classes_that_cannot_be_told_to_a_treatment_are_not_shown(wells, cells, caplog):
    assert "share no wells" in class_counts(cells.drop(columns=KEYS), wells, ROLES)["message"]
    assert "share no wells" in caplog.text
    assert "lacks Metadata_Plate" in class_counts(cells, wells.drop(columns="Metadata_Plate")[:24], ROLES)["message"]
    doubled = pd.concat([wells, wells.assign(Metadata_Compound="x")])
    assert "has several treatments" in class_counts(cells, doubled, ROLES)["message"]
    assert "no cell has a class" in class_counts(cells.assign(Metadata_Class=None), wells, ROLES)["message"]
    with pytest.raises(InputError, match="`classes`: the table has no column Metadata_Class"):
        read_classes(cells.rename(columns={"Metadata_Class": "Class"}), ROLES)


@pytest.fixture(scope="module")
def page_file(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    screen_table().to_parquet(folder / "wells.parquet")
    cells.to_csv(folder / "classes.csv", index=False)
    report = [
        "report",
        str(folder / "wells.parquet"),
        "--classes",
        str(folder / "classes.csv"),
        "--controls",
        ROLES.controls,
    ]
    assert main([*report, "--treatment", ",".join(ROLES.treatment), "--out", str(folder / "r.html"), "--quiet"]) == 0
    return folder / "r.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_section_in_a_browser(page_file, cells, width):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    with browser(width) as page:
        page.get(page_file.as_uri())
        assert page.execute_script("return document.body.dataset.ready") == "yes"
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        section = page.find_element(By.ID, "classes")
        names = [row.text for row in section.find_elements(By.CSS_SELECTOR, "td:first-child")]
        bars = section.find_elements(By.CSS_SELECTOR, ".barlayer path")
        assert (names[0], len(names), len(bars)) == ("DMSO 0.0 ○", 18, 36)
        assert "Left out: 5 cells of other wells, or without a treatment." in section.text
        assert "Not counted: 1 cell without a class (features are missing)." in section.text
        Select(page.find_element(By.ID, "class-order")).select_by_visible_text("mitotic")
        texts = [row.text for row in section.find_elements(By.CSS_SELECTOR, "td:last-child")]
        shares = [float(text.partition("(")[2].partition(" %")[0]) for text in texts]
        assert shares[1:] == sorted(shares[1:], reverse=True)
        rows = list(csv.DictReader(io.StringIO(page.execute_script("return csv(TABLES.classes())"))))
        assert len(rows) == 36
        assert sum(int(row["cells"]) for row in rows) == len(cells) - 6
        assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_cells_that_are_reported_bring_their_own_classes(wells, cells, tmp_path):
    random = np.random.default_rng(0)
    table = cells[:-5].merge(wells, on=KEYS).assign(ImageNumber=1)
    table["ObjectNumber"] = range(len(table))
    table[FEATURES] = random.normal(size=(len(table), len(FEATURES)))
    table.to_parquet(tmp_path / "cells.parquet")
    report = [
        "report",
        str(tmp_path / "cells.parquet"),
        "--treatment",
        "Metadata_Compound",
        "--out",
        str(tmp_path / "r.html"),
    ]
    assert main([*report, "--quiet"]) == 0
    assert '"classes": ["interphase", "mitotic"]' in (tmp_path / "r.html").read_text()
