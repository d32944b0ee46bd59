"""A table of wells with controls, treatments and doses, for tests of the report and the screen file."""

import numpy as np
import pandas as pd

from microsnoop_engine.reporting.screen import ColumnRoles

FEATURES = [f"Nuclei_Microsnoop_E{n:03d}_DNA" for n in range(12)]

ROLES = ColumnRoles(
    controls="Metadata_Role == 'negative'",
    positive="Metadata_Role == 'positive'",
    treatment=("Metadata_Compound", "Metadata_Dose"),
    label="Metadata_MoA",
    compound="Metadata_Compound",
    dose="Metadata_Dose",
    batch="Metadata_Plate",
    groups="Metadata_Plate",
)


def screen_table(seed=0):
    """Two plates of 24 wells: 4 negative and 4 positive controls, 4 compounds of 2 effects at 4 doses."""
    random = np.random.default_rng(seed)
    untreated, *effects = random.normal(size=(3, len(FEATURES)))
    rows, values = [], []
    for plate in (1, 2):
        batch = 0.5 * random.normal(size=len(FEATURES))
        for number in range(24):
            role = "negative" if number < 4 else "positive" if number < 8 else "treated"
            compound = {"negative": "DMSO", "positive": "max"}.get(role, "abcd"[number % 4])
            dose = {"negative": 0.0, "positive": 1.0}.get(role, 0.25 * (1 + (number - 8) // 4))
            effect = 0 if role == "negative" else {"c": 1, "d": 1}.get(compound, 0)
            strength = {"negative": 0.0, "positive": 5.0}.get(role, 5 * dose)
            moa = "none" if role == "negative" else f"moa{effect + 1}"
            rows.append(
                (f"P{plate}", f"{'ABCD'[number // 6]}{number % 6 + 1:02d}", role, compound, dose, moa, 50 + number)
            )
            values.append(4 * untreated + batch + strength * effects[effect] + 0.3 * random.normal(size=len(FEATURES)))
    names = ("Plate", "Well", "Role", "Compound", "Dose", "MoA", "Object_Count")
    frame = pd.DataFrame(rows, columns=[f"Metadata_{name}" for name in names])
    return frame.join(pd.DataFrame(np.array(values), columns=FEATURES))
