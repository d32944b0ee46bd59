"""Name wells of plates of any size."""

import pytest

from microsnoop_engine.images.acquisitions.wells import parse_well, well_name


def test_all_wells_of_1536():
    names = [well_name(row, column) for row in range(1, 33) for column in range(1, 49)]
    assert len(set(names)) == 1536
    assert (names[0], names[47], names[25 * 48], names[26 * 48], names[-1]) == ("A01", "A48", "Z01", "AA01", "AF48")
    assert [parse_well(name) for name in names] == names


@pytest.mark.parametrize(("row", "column"), [(0, 1), (33, 1), (1, 0), (1, 49), ("AG", 1), ("", 1), ("1A", 1), (1, "x")])
def test_no_such_well(row, column):
    with pytest.raises(ValueError, match="no plate has a well in row"):
        well_name(row, column)


@pytest.mark.parametrize("text", ["A", "01", "A00", "A49", "AG01", "A0001", "A01 ", "s1_w1", "DNA1", ""])
def test_no_name_of_a_well(text):
    assert parse_well(text) is None
