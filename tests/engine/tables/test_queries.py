"""Queries: against pandas, and everything that is not a comparison refused."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.queries import select_rows

FRAME = pd.DataFrame(
    {
        "Metadata_role": ["negative", "positive", "dose", None, "negative"],
        "Metadata_dose": [0.0, 10, 3, np.nan, -1],
        "Metadata_plate": ["P1", "P1", "P2", "P2", "P3"],
    }
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("Metadata_role == 'negative'", [0, 4]),
        ('Metadata_role != "negative"', [1, 2, 3]),
        ("Metadata_dose >= 3", [1, 2]),
        ("Metadata_dose == -1 or Metadata_plate in ['P2']", [2, 3, 4]),
        ("0 <= 1 or Metadata_dose > 0", None),
        ("Metadata_plate in ('P1', 'P2') and not Metadata_dose > 5", [0, 2, 3]),
        ("Metadata_plate not in ['P1']", [2, 3, 4]),
        ("(Metadata_role == 'dose') or (Metadata_role == 'positive')", [1, 2]),
        ("Metadata_dose > -5 and Metadata_dose < 5", [0, 2, 4]),
        (" Metadata_role == Metadata_role ", [0, 1, 2, 4]),
    ],
)
def test_rows(query, rows):
    if rows is None:
        with pytest.raises(InputError, match="does not compare a column"):
            select_rows(FRAME, query)
    else:
        assert np.flatnonzero(select_rows(FRAME, query)).tolist() == rows


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("__import__('os').system('true') == 0", "is no column, word, number or list"),
        ("Metadata_role.str.len() == 3", "is no column, word, number or list"),
        ("Metadata_role", "is no comparison"),
        ("Metadata_role == negative", "there is no column 'negative' (write words in quotes)"),
        ("Metadata_role = 'negative'", "cannot be read"),
        ("Metadata_dose == '3'", "the column Metadata_dose holds numbers, not such as '3'"),
        ("Metadata_role == 3", "the column Metadata_role holds words"),
        ("Metadata_role in 'negative'", "by 'in', with a list"),
        ("Metadata_role is 'negative'", "does not compare"),
        ("Metadata_role == Metadata_dose", "the column Metadata_role holds words, not such as Metadata_dose"),
        ("Metadata_role == -'negative'", "is no column, word, number or list"),
        ("", "cannot be read"),
        ("[x for x in y]", "is no comparison"),
    ],
)
def test_anything_else_is_refused(query, message):
    with pytest.raises(InputError) as caught:
        select_rows(FRAME, query)
    assert message in str(caught.value)
    assert "write it like" in str(caught.value)
