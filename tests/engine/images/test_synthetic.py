"""Check the files of the synthetic screen, and measure its phenotypes and batch effects from outside."""

import csv
import itertools
import shutil

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage import filters, measure

from microsnoop_engine.errors import InputError
from microsnoop_engine.images import synthetic
from microsnoop_engine.images.synthetic import CHANNELS, PHENOTYPES, Batch, render_field, write_screen

SMALL = {"shape": (96, 112), "n_cells": 3}


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_image(loaddata, row):
    return [tifffile.imread(loaddata.parent / row[f"PathName_{c}"] / row[f"FileName_{c}"]) for c in CHANNELS]


def nuclei_of(loaddata, row):
    return loaddata.parent / "labels" / row["Metadata_Plate"] / f"{row['Metadata_Well']}_s1_Nuclei.tif"


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return write_screen(tmp_path_factory.mktemp("screens") / "made" / "screen", **SMALL)


@pytest.fixture(scope="module")
def fields():
    """Two fields of each phenotype at full dose, from the same two seeds."""
    return {
        name: [render_field(name, float(name != "control"), np.random.default_rng(seed)) for seed in range(2)]
        for name in PHENOTYPES
    }


def nuclear(fields, measurement):
    """The median over nuclei of a measurement on the DNA channel."""
    values = [
        getattr(region, measurement) for image, labels in fields for region in measure.regionprops(labels, image[0])
    ]
    return np.median(values)


def test_layout(screen):
    rows = read_rows(screen)
    assert len(rows) == 48
    assert {row["Metadata_Plate"] for row in rows} == {"Plate1", "Plate2"}
    assert len({(row["Metadata_Plate"], row["Metadata_Well"], row["Metadata_Site"]) for row in rows}) == 48
    for plate in ("Plate1", "Plate2"):
        wells = [row for row in rows if row["Metadata_Plate"] == plate]
        controls = [row for row in wells if row["Metadata_Role"] == "negative"]
        assert len(controls) == 8
        assert {(row["Metadata_Compound"], float(row["Metadata_Dose"])) for row in controls} == {("DMSO", 0.0)}
        treatments = {(row["Metadata_Compound"], row["Metadata_Dose"]) for row in wells} - {("DMSO", "0.0")}
        assert len(treatments) == 16
        for phenotype in set(PHENOTYPES) - {"control"}:
            assert sum(row["Metadata_Phenotype"] == phenotype for row in wells) == 4


def test_plates_have_different_layouts_of_the_same_treatments(screen):
    plates = [
        {
            row["Metadata_Well"]: (row["Metadata_Compound"], row["Metadata_Dose"])
            for row in read_rows(screen)
            if row["Metadata_Plate"] == plate
        }
        for plate in ("Plate1", "Plate2")
    ]
    assert plates[0] != plates[1]
    assert sorted(plates[0].values()) == sorted(plates[1].values())


def test_platemap_agrees_with_loaddata(screen):
    rows, platemap = read_rows(screen), read_rows(screen.parent / "platemap.csv")
    assert list(platemap[0]) == [
        f"Metadata_{name}" for name in ("Plate", "Well", "Compound", "Dose", "Role", "Phenotype")
    ]
    assert platemap == [{key: row[key] for key in platemap[0]} for row in rows]


def test_every_file_is_there_and_nothing_else(screen):
    expected = {screen, screen.parent / "platemap.csv", screen.parent / "synthetic_screen.json"}
    for row in read_rows(screen):
        images = read_image(screen, row)
        labels = tifffile.imread(nuclei_of(screen, row))
        assert {image.shape for image in [*images, labels]} == {SMALL["shape"]}
        assert {image.dtype for image in [*images, labels]} == {np.dtype("uint16")}
        expected |= {screen.parent / row[f"PathName_{c}"] / row[f"FileName_{c}"] for c in CHANNELS}
        expected.add(nuclei_of(screen, row))
    assert {path for path in screen.parent.rglob("*") if path.is_file()} == expected
    assert list(screen.parent.parent.iterdir()) == [screen.parent]


def test_the_folder_can_be_moved(screen, tmp_path):
    moved = shutil.copytree(screen.parent, tmp_path / "elsewhere") / "LoadData.csv"
    row = read_rows(moved)[5]
    np.testing.assert_array_equal(read_image(moved, row), read_image(screen, row))


def test_same_seed_same_pixels_whatever_else_is_drawn(screen, tmp_path):
    alone = write_screen(tmp_path / "one", plates=1, **SMALL)
    for row in read_rows(alone)[::7]:
        np.testing.assert_array_equal(read_image(alone, row), read_image(screen, row))
        assert nuclei_of(alone, row).read_bytes() == nuclei_of(screen, row).read_bytes()


def test_another_seed_gives_other_pixels(screen, tmp_path):
    other = write_screen(tmp_path / "other", plates=1, seed=1, **SMALL)
    row = read_rows(other)[0]
    assert not np.array_equal(read_image(other, row), read_image(screen, row))


def test_render_field_depends_on_its_generator_only():
    first, second = (render_field("coarse_er", 0.5, np.random.default_rng(4), **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_labels_are_contiguous_and_as_many_as_asked_for(fields):
    for image, labels in (field for group in fields.values() for field in group):
        assert image.shape == (3, *labels.shape)
        assert image.dtype == labels.dtype == np.uint16
        numbers = np.unique(labels)
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
        assert 9 <= labels.max() <= 11
        assert image.max() < 65535


def test_healthy_nuclei_are_in_one_piece_and_apart(fields):
    for _, labels in fields["control"]:
        assert ndimage.label(labels > 0)[1] == labels.max()


def test_compact_nuclei_are_smaller_and_brighter(fields):
    control, treated = fields["control"], fields["compact_nuclei"]
    assert nuclear(treated, "area") < 0.7 * nuclear(control, "area")
    assert nuclear(treated, "intensity_mean") > 1.5 * nuclear(control, "intensity_mean")


def test_fragmented_nuclei_are_less_solid(fields):
    assert nuclear(fields["control"], "solidity") > 0.95
    assert nuclear(fields["fragmented_nuclei"], "solidity") < 0.9


def test_coarse_er_has_its_contrast_at_larger_scales(fields):
    def coarse_share(group):
        def energy(image, low, high):
            er = image[1].astype(float)
            return (filters.gaussian(er, low) - filters.gaussian(er, high)).var()

        return np.mean([energy(image, 3, 6) / energy(image, 1, 2) for image, _ in group])

    assert coarse_share(fields["coarse_er"]) > 1.5 * coarse_share(fields["control"])


def test_stretched_actin_has_bright_fibres_over_the_nuclei(fields):
    def over_nuclei(group):
        return np.median([np.median(image[2][labels > 0]) for image, labels in group])

    assert over_nuclei(fields["stretched_actin"]) > 1.3 * over_nuclei(fields["control"])


@pytest.mark.parametrize(("phenotype", "low", "high"), [("control", 1.0, 1.7), ("stretched_actin", 2.2, 5.0)])
def test_stretched_cells_are_long(phenotype, low, high):
    ratios = []
    for seed in range(6):
        image, _ = render_field(phenotype, 1.0, np.random.default_rng(seed), (256, 256), n_cells=1)
        actin = filters.gaussian(image[2].astype(float), 2)
        body = max(measure.regionprops(measure.label(actin > filters.threshold_li(actin))), key=lambda r: r.area)
        if min(body.bbox[:2]) > 0 and max(body.bbox[2:]) < 256:
            ratios.append(body.axis_major_length / body.axis_minor_length)
    assert low < np.median(ratios) < high


@pytest.mark.parametrize(
    ("phenotype", "measurement"),
    [("compact_nuclei", "area"), ("fragmented_nuclei", "solidity")],
)
def test_half_the_dose_has_an_effect_in_between(fields, phenotype, measurement):
    half = [render_field(phenotype, 0.5, np.random.default_rng(seed)) for seed in range(2)]
    control, full = nuclear(fields["control"], measurement), nuclear(fields[phenotype], measurement)
    assert full < nuclear(half, measurement) < control


def test_plates_differ_in_background(screen):
    levels = {"Plate1": [], "Plate2": []}
    for row in read_rows(screen):
        levels[row["Metadata_Plate"]].append(np.percentile(read_image(screen, row), 2, axis=(1, 2)))
    first, second = (np.array(level) for level in levels.values())
    apart = (first.min(axis=0) > second.max(axis=0)) | (second.min(axis=0) > first.max(axis=0))
    assert apart.all()


@pytest.mark.parametrize("seed", range(5))
def test_neighboring_plates_are_apart_for_every_seed(seed):
    batches = [Batch.of_plate(plate, seed) for plate in range(4)]
    for one, other in itertools.pairwise(batches):
        assert abs(one.background - other.background) > 20
        assert abs(one.gain - other.gain) > 1.5
        assert np.hypot(*np.subtract(one.center, other.center)) > 0.2


def test_vignetting_darkens_the_corner_farthest_from_the_optical_center():
    dark_corner = Batch(center=(0.1, 0.1), vignetting=0.5).photograph(np.ones((3, 64, 64)), np.random.default_rng(0))
    assert dark_corner[:, 44:, 44:].mean() < 0.8 * dark_corner[:, :20, :20].mean()


def test_otsu_finds_the_nuclei(fields):
    for name, group in fields.items():
        found = true = 0
        for image, labels in group:
            dna = filters.gaussian(image[0].astype(float), 1.5)
            regions = measure.regionprops(measure.label(dna > filters.threshold_otsu(dna)))
            found += sum(region.area >= 30 for region in regions)
            true += labels.max()
        tolerance = 0.25 if name == "fragmented_nuclei" else 0.05
        assert abs(found - true) <= tolerance * true, name


def test_a_finished_screen_is_kept(screen):
    before = screen.stat().st_mtime_ns
    assert write_screen(screen.parent, **SMALL) == screen
    assert screen.stat().st_mtime_ns == before


def test_another_screen_is_not_overwritten(screen):
    with pytest.raises(InputError, match="already holds something else"):
        write_screen(screen.parent, seed=9, **SMALL)


def test_a_folder_of_other_content_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="choose a new or empty `folder`"):
        write_screen(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "screen").write_text("")
    with pytest.raises(InputError, match="already holds something else"):
        write_screen(tmp_path / "screen", **SMALL)


def test_a_failed_run_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    calls = []

    def disk_full(*args, **kwargs):
        calls.append(args)
        if len(calls) == 6:
            raise OSError("No space left on device")
        return imwrite(*args, **kwargs)

    imwrite = tifffile.imwrite
    monkeypatch.setattr(synthetic.tifffile, "imwrite", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_screen(tmp_path, plates=1, **SMALL)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".unfinished").mkdir()  # as a killed process would leave it
    assert write_screen(tmp_path, plates=1, **SMALL).is_file()
    assert not (tmp_path / ".unfinished").exists()


@pytest.mark.parametrize("wrong", [{"plates": 0}, {"seed": -1}, {"shape": (10, 256)}, {"n_cells": 0}])
def test_values_out_of_range(tmp_path, wrong):
    with pytest.raises(InputError, match="needs"):
        write_screen(tmp_path / "screen", **(SMALL | wrong))


@pytest.mark.parametrize(
    ("phenotype", "dose", "message"), [("controll", 0, "compact_nuclei"), ("control", 1.5, "0 to 1")]
)
def test_unknown_phenotype_or_dose(phenotype, dose, message):
    with pytest.raises(InputError, match=message):
        render_field(phenotype, dose, np.random.default_rng(0))
