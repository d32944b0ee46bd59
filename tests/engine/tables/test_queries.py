"""Queries: against pandas, and everything that is not a comparison refused."""

import decimal

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


IDENTITY = pd.DataFrame(
    {
        "Metadata_Plate": ["001", "41744", "7"],
        "Metadata_Barcode": [41744.0, 7.0, None],
        "Metadata_Well": ["A1", "a - 2", None],
        "Flag (x)": pd.array([True, False, None], dtype="boolean"),
        "Metadata_Loose": [True, None, False],
        "Metadata_Dose": [decimal.Decimal("0.1"), None, decimal.Decimal(2)],
        "Metadata_Gene": ["O'Neil", "NA", None],
    }
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("Metadata_Plate == 41744", [1]),
        ("Metadata_Plate == '001'", [0]),
        ("Metadata_Plate == 1", []),
        ("Metadata_Plate in [7, '001']", [0, 2]),
        ("Metadata_Plate < 8", [0, 2]),
        ("Metadata_Barcode == '41744'", [0]),
        ("Metadata_Barcode != 7", [0, 2]),
        ("Metadata_Well in ['A01', 'A02']", [0, 1]),
        ("Metadata_Well != 'r01c01'", [1, 2]),
        ("`Flag (x)` == True", [0]),
        ("`Flag (x)` == false", [1]),
        ("`Flag (x)` != 'true'", [1, 2]),
        ("Metadata_Loose == True", [0]),
        ("not Metadata_Loose == true", [1, 2]),
        ("Metadata_Loose is None", [1]),
        ("Metadata_Dose < 0.5", [0]),
        ("Metadata_Dose is not None and Metadata_Dose >= 0.1", [0, 2]),
        ('Metadata_Gene == "O\'Neil"', [0]),
        ("Metadata_Gene == 'NA'", [1]),
        ("Metadata_Gene == None", [2]),
        ("Metadata_Gene not in ['NA']", [0, 2]),
    ],
)
def test_values_of_every_kind(query, rows):
    assert np.flatnonzero(select_rows(IDENTITY, query)).tolist() == rows


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
