"""CellProfiler Analyst opens our columns: its properties file and database, as ExportToDatabase really writes them.

Analyst itself cannot be installed beside CellProfiler's tests. The files are read here by the rules of Analyst 3:
properties are lines ``name = value``; every column that they name must be in its table; a table is read whole
(``SELECT *``, of at most 2000 columns); the classifier takes the numeric columns whose names match none of
``classifier_ignore_columns``.
"""

import re
import sqlite3

import numpy as np
import pytest
from cellprofiler_core.setting import ValidationError
from cellprofiler_examples import build
from cellprofiler_host import run_engine_script, set_objects
from cellprofiler_runs import completed, headless, insert, save

CHANNELS = ["DNA", "ER", "Actin"]
PROPERTIES = {"save_cpa_properties": "Yes", "location_object": "Nuclei", "properties_plate_metadata": "Plate"}
OBJECT_TABLES = {"One table per object type": "Per_Nuclei", "Single object table": "Per_Object"}


def analyst_pipeline(tables, objects=("Nuclei",)):
    """The example pipeline, which writes properties too."""
    pipeline = build(CHANNELS, (12, 60))
    module, export = pipeline.modules()[3], pipeline.modules()[5]
    set_objects(module, objects)
    module.scope.value = "Objects"
    export.separate_object_tables.value = tables
    for name, value in {**PROPERTIES, "properties_well_metadata": "Well", "properties_plate_type": "96"}.items():
        getattr(export, name).value = value
    return pipeline


@pytest.fixture(scope="module")
def screen(engine_python, tmp_path_factory):
    """Two wells of a drawn screen."""
    folder = tmp_path_factory.mktemp("drawn") / "input"
    script = (
        "import sys; from microsnoop_engine.images.synthetic import write_screen; "
        "write_screen(sys.argv[1], plates=1, shape=(160, 160), n_cells=4)"
    )
    run_engine_script(engine_python, script, folder)
    table = folder / "LoadData.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    return folder


@pytest.fixture(scope="module", params=OBJECT_TABLES)
def export(request, screen, tmp_path_factory):
    """A real export with properties: how the object tables were written, and the output folder."""
    folder = tmp_path_factory.mktemp("analyst")
    pipeline = analyst_pipeline(request.param, ("Nuclei", "Cells"))
    insert(pipeline, 3, "IdentifySecondaryObjects", x_name="Nuclei", y_name="Cells", image_name="ER")
    return request.param, completed(headless(folder / "run", save(pipeline, folder / "pipeline.cppipe"), screen))


def read_properties(path):
    """Names and values of a properties file."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, value in pairs}


def columns_of(connection, table):
    """Names and first row of a table, which is read whole."""
    cursor = connection.execute(f"select * from {table} limit 1")
    return [column[0] for column in cursor.description], cursor.fetchone()


def test_analyst_opens_the_tables_that_the_properties_name(export):
    tables, out = export
    (path,) = out.glob("*Nuclei*.properties") if tables.startswith("One") else out.glob("*.properties")
    properties = read_properties(path)
    assert properties["object_table"] == OBJECT_TABLES[tables]
    with sqlite3.connect(properties["db_sqlite_file"]) as connection:
        images, _ = columns_of(connection, properties["image_table"])
        objects, row = columns_of(connection, properties["object_table"])
    for key in ("image_id", "plate_id", "well_id"):
        assert properties[key] in images, key
    for key in ("object_id", "cell_x_loc", "cell_y_loc", "image_id"):
        assert properties[key] in objects, key
    ignored = [word.strip() for word in properties["classifier_ignore_columns"].split(",") if word.strip()]
    features = {
        name: value
        for name, value in zip(objects, row)
        if isinstance(value, (int, float)) and not any(re.search(word, name) for word in ignored)
    }
    sets = ["Nuclei"] if tables.startswith("One") else ["Nuclei", "Cells"]
    expected = [f"{name}_Microsnoop_E{index:03d}_{c}" for name in sets for c in CHANNELS for index in range(256)]
    assert set(expected) <= set(features)
    assert len(objects) <= 2000
    norms = np.linalg.norm(np.reshape([features[name] for name in expected], (-1, 256)), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-2)


@pytest.mark.usefixtures("engine_python")
@pytest.mark.parametrize(("sets", "fits"), [(("Nuclei", "Cells"), True), (("Nuclei", "Cells", "Cytoplasm"), False)])
def test_too_many_columns_are_told_before_the_run(sets, fits):
    """3 channels x 256 numbers are 768 columns per object set."""
    pipeline = analyst_pipeline("Single object table", sets)
    module = pipeline.modules()[3]
    if fits:
        module.validate_module_warnings(pipeline)
        return
    with pytest.raises(ValidationError, match=r"write 23\d\d columns into the table of all objects; SQLite holds"):
        module.validate_module_warnings(pipeline)
