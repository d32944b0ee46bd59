"""Build the example pipelines with CellProfiler itself; run this file to write examples/cellprofiler/*.cppipe again."""

import contextlib

from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_host import REPOSITORY, set_objects

EXAMPLES = REPOSITORY / "examples" / "cellprofiler"
NOTES = {
    "LoadData": "Reads LoadData.csv in the Default Input Folder: one row per image set.",
    "IdentifyPrimaryObjects": "Nuclei are found in the DNA image. Adapt the diameter to your magnification.",
    "MeasureObjectIntensity": "A classical module, to show that both kinds of features go into the same tables.",
    "MeasureMicrosnoopFeatures": "256 numbers per channel for each nucleus with its surroundings, and for each image.",
    "ExportToSpreadsheet": "Nuclei.csv and Image.csv in the Default Output Folder.",
    "ExportToDatabase": (
        "The same in SQLite: one table per object type, because a table holds 2000 columns at most. "
        "The yellow triangle only says that CellProfiler Analyst then opens the objects of one type at a time."
    ),
}

SHOWN = ("IdentifyPrimaryObjects", "MeasureMicrosnoopFeatures")
"""Modules whose windows show whether the settings suit the images."""


def build(channels, diameter):
    """Measure nuclei, found in the channel DNA, and whole images.

    Parameters
    ----------
    channels : list of str
        Names of the images in LoadData.csv.
    diameter : tuple of int
        Smallest and largest nucleus, in pixels.

    Returns
    -------
    cellprofiler_core.pipeline.Pipeline
    """
    pipeline = Pipeline()

    def add(name, **settings):
        module = instantiate_module(name)
        module.set_module_num(len(pipeline.modules()) + 1)
        module.notes = [NOTES[name]]
        module.show_window = name in SHOWN
        for setting, value in settings.items():
            getattr(module, setting).value = value
        pipeline.add_module(module)
        return module

    load = add("LoadData", csv_file_name="LoadData.csv")
    load.csv_directory.dir_choice = "Default Input Folder"
    find = add("IdentifyPrimaryObjects", x_name="DNA", y_name="Nuclei")
    find.size_range.value = diameter
    add("MeasureObjectIntensity", images_list=", ".join(channels), objects_list="Nuclei")
    set_objects(add("MeasureMicrosnoopFeatures", images_list=", ".join(channels), scope="Both"), ["Nuclei"])
    add("ExportToSpreadsheet", wants_prefix="No", wants_overwrite_without_warning="Yes", add_metadata="Yes")
    add(
        "ExportToDatabase",
        sqlite_file="profiles.db",
        want_table_prefix="No",
        separate_object_tables="One table per object type",
        wants_agg_mean="No",
        save_cpa_properties="No",
        allow_overwrite="Data and schema",
    )
    return pipeline


PIPELINES = {
    "dna-gfp.cppipe": lambda: build(["GFP", "DNA"], (10, 40)),
    "demo-screen.cppipe": lambda: build(["DNA", "ER", "Actin"], (12, 60)),
}


if __name__ == "__main__":
    EXAMPLES.mkdir(exist_ok=True)
    for file_name, make in PIPELINES.items():
        with (EXAMPLES / file_name).open("w") as file, contextlib.redirect_stdout(None):
            make().dump(file, save_image_plane_details=False)
