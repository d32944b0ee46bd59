"""Test the report of a screen, also in a real browser."""

import io
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import browser
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.reporting import panels
from microsnoop_engine.reporting.page import make_page, matching_rows, report
from microsnoop_engine.reporting.scores import screen_scores
from microsnoop_engine.reporting.screen import ColumnRoles, Screen

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def frame():
    return screen_table()


@pytest.fixture
def screen(frame):
    return Screen(frame.drop(columns=FEATURES), frame[FEATURES].to_numpy(), ROLES)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_blank_labels_are_none(frame):
    """A label of the controls alone, blank elsewhere, as a LoadData CSV has it."""
    roles = frame["Metadata_Role"].where(frame["Metadata_Role"] != "treated", " ")
    meaning = replace(ROLES, label="Metadata_Kind", batch=None)
    values = frame[FEATURES].to_numpy()
    found = {score.name for score in screen_scores(Screen(frame.assign(Metadata_Kind=roles), values, meaning))}
    assert "Controls told apart" in found
    assert not found & {"Kind by neighbors", "NSC"}
    shown = data_of(make_page(frame.assign(Metadata_Kind=roles), FEATURES, ColumnRoles(label="Metadata_Kind")))
    assert set(shown["colors"][0]["words"]) == {"negative", "positive", "(none)"}
    assert set(shown["metadata"]["Kind"]) == {"negative", "positive", None}
    nothing = Screen(frame.assign(Metadata_Kind=None), values, meaning)
    assert "NSC" not in {score.name for score in screen_scores(nothing)}


def test_unknown_columns_are_not_guessed(frame):
    found = data_of(make_page(frame, FEATURES, ColumnRoles()))
    assert (found["scores"], found["doses"], found["nearest"]) == ([], None, None)
    assert set(found["maps"][0]["kinds"]) == {"PCA", "UMAP"}
    assert len(found["plates"]) == 2


def test_rows_before_sphering_are_found_in_any_order(frame):
    shuffled = frame.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(matching_rows(shuffled, frame)[FEATURES], frame[FEATURES])
    with pytest.raises(InputError, match=r"lacks Metadata_Plate, Metadata_Well = \['P1', 'A01'\]"):
        matching_rows(frame.iloc[1:], frame)
    with pytest.raises(InputError, match="several rows"):
        matching_rows(pd.concat([frame, frame]), frame)


def test_batches_of_one_plate_are_matched_by_their_batch(frame):
    """Plate and well alone repeat; a date is written in two ways."""
    both = pd.concat([frame.assign(Metadata_Batch=1), frame.assign(Metadata_Batch=2)], ignore_index=True)
    both[FEATURES] += np.arange(len(both))[:, None]
    shuffled = both.sample(frac=1, random_state=3).assign(
        Metadata_Batch=lambda table: table["Metadata_Batch"].astype(float)
    )
    np.testing.assert_array_equal(matching_rows(shuffled, both)[FEATURES], both[FEATURES])
    with pytest.raises(InputError, match=r"`before`: this table lacks .*Metadata_Batch"):
        matching_rows(both[both["Metadata_Batch"] == 1], both[both["Metadata_Batch"] == 2])
    with pytest.raises(InputError, match="`before`: several rows of the other table have the same"):
        matching_rows(frame, both)


def test_repeats_without_a_plate_are_matched_by_all_that_both_tables_know(frame):
    repeats = frame.assign(Metadata_Replicate=np.repeat([1, 2], 24)).drop(columns="Metadata_Plate")
    shuffled = repeats.sample(frac=1, random_state=3)
    np.testing.assert_array_equal(matching_rows(shuffled, repeats)[FEATURES], repeats[FEATURES])


def test_principal_components_are_compared_with_the_features_before(frame, tmp_path):
    frame.to_parquet(tmp_path / "wells.parquet")
    sphere = ["sphere", str(tmp_path / "wells.parquet"), "--controls", ROLES.controls, "--method", "pca"]
    assert main([*sphere, "--regularization", "0.3", "--out", str(tmp_path / "pca.parquet"), "--quiet"]) == 0
    before, table, out = tmp_path / "wells.parquet", tmp_path / "pca.parquet", tmp_path / "pca.html"
    assert main(["report", str(table), "--before", str(before), "--label", ROLES.label, "--out", str(out)]) == 0
    found = data_of(out.read_text(encoding="utf-8"))
    assert [entry["title"] for entry in found["maps"]] == [
        "Before the correction: 48 wells",
        "After the correction: 48 wells",
    ]
    assert found["features"]["names"][0] == "PC1"
    (score,) = found["scores"][:1]
    alone = data_of(make_page(frame, FEATURES, ColumnRoles(label=ROLES.label)))["scores"][0]
    assert score["before"] == alone["after"]


def test_a_column_that_only_the_table_before_lacks_costs_that_column(frame):
    gap = frame.assign(**{FEATURES[3]: np.nan})
    found = data_of(make_page(frame, FEATURES, ROLES, before=gap))
    assert len(found["maps"]) == 2
    assert len(found["map_rows"]) == 48


def test_rows_of_tables_without_keys_are_not_matched_by_their_order(frame):
    """Treatment tables are matched by their metadata, tables without metadata not at all."""
    treatments = frame.drop(columns=["Metadata_Plate", "Metadata_Well"]).drop_duplicates(
        ["Metadata_Compound", "Metadata_Dose"]
    )
    shuffled = treatments.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(matching_rows(shuffled, treatments)[FEATURES], treatments[FEATURES])
    with pytest.raises(InputError, match="`before`: the tables share no keys"):
        matching_rows(shuffled[FEATURES], treatments)
    with pytest.raises(InputError, match="`before`: several rows"):
        matching_rows(frame[["Metadata_Role", *FEATURES]], frame[["Metadata_Role", *FEATURES]])


def test_report_takes_tables_in_memory(frame, tmp_path):
    before = frame.sample(frac=1, random_state=2)
    path = report(frame, tmp_path / "new" / "screen.html", ROLES, before=before, commands=["microsnoop sphere"])
    assert path == tmp_path / "new" / "screen.html"
    page = path.read_text(encoding="utf-8")
    assert "<title>Screen</title>" in page
    data = data_of(page)
    assert data["commands"] == ["microsnoop sphere"]
    assert data["scores"]
    assert all(score["before"] == score["after"] for score in data["scores"])
    with pytest.raises(InputError, match=r"`out`: '.*page.txt' must end in .html"):
        report(frame, tmp_path / "page.txt")


def test_of_a_large_table_rows_are_drawn(frame, monkeypatch):
    monkeypatch.setattr(panels, "MOST_WELLS", 30)
    found = data_of(make_page(frame, FEATURES, ROLES, before=frame.iloc[::-1]))
    assert found["summary"].startswith("24 wells drawn at random from 48")
    assert len(found["names"]) == len(set(found["names"])) == len(found["map_rows"]) == 24
    assert [len(plate["wells"]) for plate in found["plates"]] == [24]  # whole plates
    assert all("24 of 48 rows drawn at random" in entry["title"] for entry in found["maps"])
    assert found["sample"] == "24 of 48 rows drawn at random"
    assert all(score["before"] == score["after"] for score in found["scores"])


def test_of_many_points_some_are_on_the_maps_and_the_maps_say_so(frame, monkeypatch):
    monkeypatch.setattr(panels, "MOST_ROWS", 30)
    found = data_of(make_page(frame, FEATURES, ROLES))
    assert (len(found["names"]), len(found["map_rows"])) == (48, 30)
    assert [entry["title"] for entry in found["maps"]] == ["30 of 48 rows drawn at random"]
    assert found["sample"] == ""  # everything else is of all rows


def test_every_score_has_its_numbers_and_interval(frame):
    found = {score["name"]: score for score in data_of(make_page(frame, FEATURES, ROLES, before=frame))["scores"]}
    assert {name: score["after"]["counted"] for name, score in found.items()} == {
        "MoA by neighbors": "40 wells",
        "NSC": "40 wells, 5 compounds",
        "NSCB": "40 wells, 5 compounds",
        "Replicates alike": "40 wells, 17 treatments",
        "mAP of replicates": "40 wells, 17 treatments",
        "Plate by neighbors": "48 wells",
        "Z'": "16 wells",
        "Controls told apart": "16 wells",
        "Dose followed": "32 wells",
    }
    for score in found.values():
        assert score["before"] == score["after"]
        assert score["after"]["low"] <= score["after"]["value"] <= score["after"]["high"]
        assert score["after"]["low"] < score["after"]["high"]


def test_figures_say_how_many_rows_they_show(frame):
    found = data_of(make_page(frame, FEATURES, ROLES))
    assert [entry["title"] for entry in found["maps"]] == ["48 wells"]
    assert found["replicates"]["after"]["rows"] == 40
    assert {members for others in found["nearest"].values() for _, _, members in others} == {2, 8}


def test_a_column_without_numbers_costs_that_column(frame):
    gap = frame.assign(**{FEATURES[3]: np.nan})
    found = data_of(make_page(gap, FEATURES, ROLES))
    assert len(found["map_rows"]) == 48
    assert f"1 feature left out, missing in more than a fifth of the rows: {FEATURES[3]}" in found["summary"]
    assert FEATURES[3] not in found["features"]["names"]


def test_wells_without_a_compound_are_no_treatment(frame):
    some = frame.assign(Metadata_Drug=np.where(np.arange(len(frame)) % 4 == 0, None, "x"))
    some.loc[1::4, "Metadata_Drug"] = "y"
    some.loc[2::4, "Metadata_Drug"] = "z"
    found = data_of(make_page(some, FEATURES, ColumnRoles(treatment=("Metadata_Drug",))))
    assert set(found["nearest"]) == {"x", "y", "z"}
    assert set(found["treatment"]) == {"x", "y", "z", None}
    assert "3 treatments, 12 wells not annotated" in found["summary"]


@pytest.mark.parametrize("blank", [None, np.nan, " "])
def test_rows_without_a_plate_are_left_out_of_its_scores(frame, blank):
    some = frame.assign(Metadata_Plate=frame["Metadata_Plate"].where(np.arange(48) % 8 != 7, blank))
    without, found = (
        data_of(make_page(some[np.arange(48) % 8 != 7], FEATURES, ROLES)),
        data_of(make_page(some, FEATURES, ROLES)),
    )
    for name in ("Plate by neighbors", "Controls told apart", "MoA by neighbors", "Z'"):
        expected, score = ([s for s in page["scores"] if s["name"] == name] for page in (without, found))
        assert score == expected, name
    assert "6 wells without Plate, left out of the scores that use it" in found["summary"]
    assert "without Plate" not in without["summary"]


def test_a_single_control_costs_the_distances_alone(frame, caplog):
    """It had ended the report."""
    controls = frame.index[frame["Metadata_Role"] == "negative"]
    found = data_of(make_page(frame.drop(controls[1:]), FEATURES, ROLES))
    assert "1 negative control row does not differ: distances from the controls are not shown" in caplog.text
    assert len(caplog.records) == 1
    assert not [one for one in found["quantities"] if "istance" in one["name"]]
    assert found["maps"]
    assert "two" in found["activity"]["message"]


def test_one_is_singular(frame):
    drug = np.where(frame["Metadata_Role"] == "treated", "x", None)
    drug[8] = "y"
    found = data_of(
        make_page(frame.assign(Metadata_Drug=drug), FEATURES[:1], ColumnRoles(treatment=("Metadata_Drug",)))
    )
    assert "1 feature" in re.split(", |; ", found["summary"])
    alone = frame.assign(Metadata_Drug=np.where(drug == "y", None, drug))
    found = data_of(make_page(alone, FEATURES, ColumnRoles(treatment=("Metadata_Drug",))))
    assert "1 treatment" in found["summary"].split(", ")


def test_text_cannot_break_out_of_the_page(frame):
    evil = frame.assign(Metadata_Compound="</script><script>document.title='x'</script>")
    page = make_page(evil, FEATURES, ColumnRoles(treatment=("Metadata_Compound",)), title="<b>&")
    assert "</script><script>document" not in page
    assert "<title>&lt;b&gt;&amp;</title>" in page
    assert data_of(page)["treatment"][0].startswith("</script>")


@pytest.mark.parametrize("option", ["label", "compound", "batch", "groups", "dose"])
def test_columns_that_are_not_there_are_named(frame, option):
    with pytest.raises(InputError, match=f"`{option}`: there is no column 'Metadata_X'"):
        make_page(frame, FEATURES, ColumnRoles(**{option: "Metadata_X"}))


def test_a_dose_must_be_a_number(frame):
    with pytest.raises(InputError, match="`dose`: the column 'Metadata_Role' does not hold numbers"):
        make_page(frame, FEATURES, ColumnRoles(dose="Metadata_Role"))


def test_the_bundle_of_plotly_is_of_the_version_that_is_pinned():
    pinned = json.loads((REPOSITORY / "scripts" / "plotly" / "package.json").read_text())["dependencies"]["plotly.js"]
    bundle = (files("microsnoop_engine.reporting") / "assets" / "plotly.min.js").read_text("utf-8")
    assert bundle.startswith(f"/* plotly.js v{pinned}:"), "run scripts/make-plotly.sh and commit what it writes"


@pytest.fixture(scope="module")
def page_file(frame, tmp_path_factory):
    """The report of a table and its sphered form, by the command line."""
    folder = tmp_path_factory.mktemp("report")
    frame.to_parquet(folder / "wells.parquet")
    controls = ["--controls", ROLES.controls]
    sphere = ["sphere", str(folder / "wells.parquet"), *controls, "--by", "Metadata_Plate", "--regularization", "0.3"]
    sphere += ["--out", str(folder / "sphered.parquet"), "--save", str(folder / "s.safetensors"), "--quiet"]
    assert main(sphere) == 0
    report = ["report", str(folder / "sphered.parquet"), "--out", str(folder / "report.html"), *controls]
    report += ["--before", str(folder / "wells.parquet"), "--transform", str(folder / "s.safetensors")]
    report += ["--positive", ROLES.positive, "--treatment", ",".join(ROLES.treatment), "--quiet"]
    report += [f"--{name}={getattr(ROLES, name)}" for name in ("label", "compound", "dose", "batch", "groups")]
    assert main(report) == 0
    return folder / "report.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(page_file, width):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    with browser(width) as page:
        page.get(page_file.as_uri())
        assert page.execute_script("return document.body.dataset.ready") == "yes"
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
        traces = page.execute_script("return Object.keys(Plotly.PlotSchema.get().traces).sort()")
        assert traces == ["bar", "heatmap", "scatter", "scattergl"]
        headings = [link.text for link in page.find_elements(By.CSS_SELECTOR, "nav a")]
        assert headings[3:5] == ["Active treatments", "Dose curves"]
        assert len(headings) == 11
        assert len(page.find_elements(By.CSS_SELECTOR, "#map-plots .js-plotly-plot")) == 2
        points = page.find_elements(By.CSS_SELECTOR, "#map-plots .js-plotly-plot:last-child .scatterlayer path.point")
        assert len(points) == 48
        assert len(page.find_elements(By.CSS_SELECTOR, "#plate-plots .js-plotly-plot .heatmaplayer image")) == 2
        for plot in ("activity-plot", "curve-plot", "dose-plot", "replicate-plot"):
            assert page.find_elements(By.CSS_SELECTOR, f"#{plot} .scatterlayer path.point")

        _click_a_point(page)
        chosen = page.find_element(By.CSS_SELECTOR, "#details h3").text
        assert re.fullmatch(r"P[12] [A-D]0[1-6]", chosen)
        Select(page.find_element(By.ID, "map-color")).select_by_visible_text("Dose")
        Select(page.find_element(By.ID, "plate-quantity")).select_by_visible_text("A feature")
        box = page.find_element(By.ID, "plate-feature")
        page.execute_script("arguments[0].value = arguments[1]; arguments[0].onchange()", box, FEATURES[5])
        shown = page.execute_script("return document.querySelector('#plate-plots .js-plotly-plot').data[0].z[1][2]")
        stored = pd.read_parquet(page_file.with_name("sphered.parquet"))
        well = stored.query("Metadata_Plate == 'P1' and Metadata_Well == 'B03'")[FEATURES[5]].item()
        assert shown == pytest.approx(well, abs=float(np.ptp(stored[FEATURES[5]])) / 254)
        _search(page, stored)
        assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def _search(page, stored):
    """A treatment is found, ringed, and its nearest ones are named with their activity; every section has a CSV."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    box = page.find_element(By.ID, "search")
    page.execute_script("arguments[0].value = 'C 0.5'; arguments[0].onchange()", box)
    assert Select(page.find_element(By.ID, "nearest-choice")).first_selected_option.text == "c 0.5"
    assert page.find_element(By.ID, "nearest-own").text.startswith(("active (p ", "not active (p "))
    cells = [
        row.find_elements(By.TAG_NAME, "td")[2].text for row in page.find_elements(By.CSS_SELECTOR, "#nearest-table tr")
    ]
    assert {re.sub(r"[<=] 0[.]\d+", "", text) for text in cells} <= {"active (p )", "not active (p )", ""}
    rings = page.execute_script("return document.querySelector('#map-plots .js-plotly-plot').data.at(-1).x.length")
    assert rings == 2
    page.execute_script("arguments[0].value = 'nothing'; arguments[0].onchange()", box)
    assert not page.execute_script("return arguments[0].checkValidity()", box)
    Select(page.find_element(By.ID, "plate-quantity")).select_by_visible_text("Role")
    legend = [entry.text for entry in page.find_elements(By.CSS_SELECTOR, "#plate-note .legend")]
    assert legend == ["negative", "positive", "treated"]
    tables = page.execute_script(
        "const shown = Object.entries(TABLES).filter(([id]) => !byId(id).hidden);"
        "return Object.fromEntries(shown.map(([id, rows]) => [id, csv(rows())]))"
    )
    assert len(page.find_elements(By.CSS_SELECTOR, "section:not([hidden]) > .csv")) == len(tables) == 9
    read = {name: pd.read_csv(io.StringIO(text)) for name, text in tables.items()}
    assert read["map"]["Plate"].tolist() == stored["Metadata_Plate"].tolist()
    assert read["plates"]["Number of objects"].tolist() == stored["Metadata_Object_Count"].tolist()
    assert len(read["activity"]) == 17
    assert (read["clusters"].shape, len(read["curves"])) == ((18, 19), 32)


def _click_a_point(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    plot = page.find_element(By.CSS_SELECTOR, "#map-plots .js-plotly-plot:last-child")
    page.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", plot)
    point = plot.find_element(By.CSS_SELECTOR, ".scatterlayer path.point")
    where = page.execute_script(
        "const [a, b] = [arguments[0], arguments[1]].map((e) => e.getBoundingClientRect());"
        "return [a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2]",
        point,
        plot.find_element(By.CSS_SELECTOR, ".nsewdrag"),
    )
    target = plot.find_element(By.CSS_SELECTOR, ".nsewdrag")
    ActionChains(page).move_to_element_with_offset(target, *map(round, where)).pause(0.3).click().perform()


def test_an_interrupted_report_leaves_the_old_one(page_file, monkeypatch):
    before = page_file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["report", str(page_file.with_name("wells.parquet")), "--out", str(page_file), "--quiet"]) == 1
    monkeypatch.undo()
    assert page_file.read_bytes() == before
    assert [path.name for path in page_file.parent.glob(".*")] == []


def test_cells_of_a_treatment_stand_beside_controls(frame, tmp_path):
    """A picture for every well but one."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    page = make_page(frame, FEATURES, ROLES)
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    pictures = json.dumps({row: pixel for row in range(48) if row != 8})
    (tmp_path / "page.html").write_text(page.replace('"thumbnails": {}', f'"thumbnails": {pictures}'), encoding="utf-8")
    with browser(1280) as window:
        window.get((tmp_path / "page.html").as_uri())
        Select(window.find_element(By.ID, "montage-choice")).select_by_visible_text("a 0.25")
        titles = [title.text for title in window.find_elements(By.CSS_SELECTOR, "#montage-pictures h3")]
        assert re.fullmatch(r"a 0.25, (not )?active \(p . 0.\d+\) \(1 of 1 well\)", titles[0])  # well 8 has no picture
        assert titles[1] == "negative controls (6 of 8 wells)"
        captions = [figure.text for figure in window.find_elements(By.CSS_SELECTOR, "#montage-pictures figure")]
        assert captions[0] == "P2 B03"
        assert {caption.split()[0] for caption in captions[1:]} == {"P1", "P2"}
        picture = window.find_element(By.CSS_SELECTOR, "#montage-pictures img")
        window.execute_script("arguments[0].parentElement.click()", picture)
        assert window.find_element(By.CSS_SELECTOR, "#details h3").text == "P2 B03"
        assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []
