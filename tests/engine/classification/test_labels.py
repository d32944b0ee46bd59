"""Test how labels of files find their rows."""

import numpy as np
import pandas as pd
import pytest
from labeled_cells import draw_cells

from microsnoop_engine.classification.cpa_training_sets import read_training_set
from microsnoop_engine.classification.labels import labels_of_column, read_labels
from microsnoop_engine.errors import InputError

FRAME = draw_cells(4, 5)[0]
TRAINING_SET = """# Training set created while using properties: screen.properties
label negative positive
positive 1 2 {x} {y}
negative 3 5 {x2} {y2}
# eJxTYGBg
"""


def write(path, frame):
    frame.to_csv(path, index=False)
    return path


def test_cells_by_their_numbers(tmp_path):
    path = write(
        tmp_path / "labels.csv", pd.DataFrame({"ImageNumber": [2, 1], "ObjectNumber": [3, 1], "Class": ["a", "b"]})
    )
    labels = read_labels(FRAME, [path])
    assert labels.values[5 + 2] == "a"
    assert labels.values[0] == "b"
    assert pd.notna(labels.values).sum() == 2
    assert labels.unmatched == []


def test_a_well_labels_all_of_its_cells_however_it_is_written(tmp_path):
    path = write(tmp_path / "wells.csv", pd.DataFrame({"Metadata_Well": ["A1", "a02"], "Label": ["x", "y"]}))
    labels = read_labels(FRAME, [path])
    assert labels.values.tolist() == ["x"] * 5 + ["y"] * 5 + [None] * 10


def test_cells_without_a_label_are_counted(tmp_path):
    frame = pd.DataFrame({"ImageNumber": [1, 1, 2], "ObjectNumber": [1, 2, 1], "Label": ["a", None, " "]})
    labels = read_labels(FRAME, [write(tmp_path / "review.csv", frame)])
    assert labels.blank == 2
    assert pd.notna(labels.values).sum() == 1


def test_labels_without_a_row_are_named_and_many_are_refused(tmp_path, caplog):
    frame = pd.DataFrame({"ImageNumber": [1] * 5 + [9], "ObjectNumber": [1, 2, 3, 4, 5, 1], "Label": list("aabbab")})
    path = write(tmp_path / "labels.csv", frame)
    with pytest.raises(InputError, match=r"1 of 6 labels belong to no row .*ImageNumber 9, ObjectNumber 1"):
        read_labels(FRAME, [path])
    labels = read_labels(FRAME, [path], most_unmatched=0.5)
    assert labels.unmatched == ["ImageNumber 9, ObjectNumber 1"]
    assert "1 label belongs to no row" in caplog.text


def test_cells_of_another_run_with_the_same_numbers_match_no_row(tmp_path):
    frame = pd.DataFrame({"Metadata_Well": ["B01"], "ImageNumber": [1], "ObjectNumber": [1], "Label": ["a"]})
    with pytest.raises(InputError, match="Metadata_Well B01, ImageNumber 1"):
        read_labels(FRAME, [write(tmp_path / "labels.csv", frame)])


def test_two_labels_of_one_cell_are_refused(tmp_path):
    keys = {"ImageNumber": [1], "ObjectNumber": [1]}
    paths = [write(tmp_path / f"{name}.csv", pd.DataFrame({**keys, "Label": [name]})) for name in ("a", "b")]
    with pytest.raises(InputError, match=r"ImageNumber 1, ObjectNumber 1 is labeled 'b', but 'a' in .*a.csv"):
        read_labels(FRAME, paths)
    assert read_labels(FRAME, [paths[0], paths[0]]).values[0] == "a"


def test_a_training_set_of_cellprofiler_analyst(tmp_path):
    centers = FRAME[["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"]].to_numpy()
    (x, y), (x2, y2) = centers[1].astype(int), centers[14].astype(int)
    path = tmp_path / "MyTrainingSet.txt"
    path.write_text(TRAINING_SET.format(x=x, y=y, x2=x2, y2=y2))
    labels = read_labels(FRAME, [path])
    assert labels.values[1] == "positive"
    assert labels.values[14] == "negative"
    assert pd.notna(labels.values).sum() == 2


def test_cells_of_a_training_set_that_lie_elsewhere_match_no_row(tmp_path):
    path = tmp_path / "MyTrainingSet.txt"
    path.write_text(TRAINING_SET.format(x=900, y=900, x2=900, y2=900))
    with pytest.raises(InputError, match="2 of 2 labels belong to no row"):
        read_labels(FRAME, [path])


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("pos 1 2", ["ImageNumber", "ObjectNumber"]),
        ("pos 7 1 2", ["TableNumber", "ImageNumber", "ObjectNumber"]),
        ("pos 7 1 2 30 40", ["TableNumber", "ImageNumber", "ObjectNumber", "Location_Center_X", "Location_Center_Y"]),
    ],
)
def test_training_sets_of_all_versions(tmp_path, line, columns):
    path = tmp_path / "set.txt"
    path.write_text(f"label pos neg\n{line}\n")
    frame = read_training_set(path)
    assert list(frame) == [*columns, "Class"]
    assert frame.ObjectNumber.tolist() == [2]


def test_a_line_that_is_none_is_named(tmp_path):
    path = tmp_path / "set.txt"
    path.write_text("label pos neg\npos 1 2\npos 1 two\n")
    with pytest.raises(InputError, match="line 3: 'pos 1 two'"):
        read_training_set(path)


def test_groups_of_rois_are_labels():
    frame = FRAME.assign(Metadata_ROI_Group=["1", "2", "", None] + [""] * 16)
    labels = labels_of_column(frame, "Metadata_ROI_Group")
    assert labels.values[:4].tolist() == ["1", "2", None, None]
    with pytest.raises(InputError, match="is empty"):
        labels_of_column(frame.assign(Metadata_ROI_Group=""), "Metadata_ROI_Group")


def test_group_0_of_a_table_of_fiji_is_no_group(tmp_path):
    """A column of that name in another table, where 0 may be a group, is taken as it is."""
    frame = FRAME.assign(Metadata_Roi="0001", Metadata_Group=[1, 2] + [0] * 18)
    labels = labels_of_column(frame, "Metadata_Group")
    assert (labels.values[:3].tolist(), labels.ungrouped) == (["1", "2", None], 18)
    frame.to_csv(tmp_path / "fiji.csv", index=False)
    read = read_labels(FRAME, [tmp_path / "fiji.csv"], "Metadata_Group")
    assert (read.values[:3].tolist(), read.ungrouped, read.blank) == (["1", "2", None], 18, 0)
    with pytest.raises(InputError, match="is empty"):
        labels_of_column(frame.assign(Metadata_Group=0.0), "Metadata_Group")
    others = labels_of_column(frame.drop(columns="Metadata_Roi"), "Metadata_Group")
    assert (others.values[2], others.ungrouped) == ("0", 0)


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_labels(FRAME, [tmp_path / "none.csv"])
    path = write(tmp_path / "labels.csv", pd.DataFrame({"ImageNumber": [1], "ObjectNumber": [1], "Kind": ["a"]}))
    with pytest.raises(InputError, match="has no column Label, only ImageNumber"):
        read_labels(FRAME, [path])
    assert read_labels(FRAME, [path], "Kind").values[0] == "a"
    path = write(tmp_path / "keyless.csv", pd.DataFrame({"Cell": [1], "Label": ["a"]}))
    with pytest.raises(InputError, match="shares no keys with the table"):
        read_labels(FRAME, [path])
    path = write(tmp_path / "blank.csv", pd.DataFrame({"ImageNumber": [1], "ObjectNumber": [1], "Label": [np.nan]}))
    with pytest.raises(InputError, match="the column Label is empty"):
        read_labels(FRAME, [path])
