"""Test the names of feature columns."""

import pytest

from microsnoop_engine.tables.columns import feature_columns, parse_feature


@pytest.mark.parametrize("channel", ["DNA", "my_channel", "Microsnoop_E001_x", "µ 1"])
@pytest.mark.parametrize("objects", ["Nuclei", "My_Cells", "Image", ""])
def test_names_of_features_can_be_taken_apart(objects, channel):
    for index, name in enumerate(feature_columns(objects, [channel], 1001)):
        found = parse_feature(name)
        assert (found.objects, found.index, found.channel) == (objects, index, channel)


@pytest.mark.parametrize("name", ["ImageNumber", "Metadata_Well", "Nuclei_AreaShape_Area", "_Microsnoop_E000_DNA"])
def test_other_columns_are_no_features(name):
    assert parse_feature(name) is None
