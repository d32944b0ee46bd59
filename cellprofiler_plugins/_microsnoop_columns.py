"""Write many columns fast, and find out whether a database can hold them.

Python 3.8, standard library and numpy only: this file runs inside CellProfiler.
"""

import numpy

IMAGE = "Image"
DATABASE_LIMITS = {"SQLite": 2000, "MySQL": 1017}


def write_measurements(measurements, object_name, features, columns):
    """Write many columns of one object set; one `add_measurement` per column takes about twice as long.

    Parameters
    ----------
    measurements : cellprofiler_core.measurement.Measurements
        Where to write, at its current image set.
    object_name : str
        The object set, or "Image".
    features : list of str
        Names of the columns.
    columns : sequence of array_like
        Values of each column.
    """
    number = measurements.image_set_number
    hdf5_dict = getattr(measurements, "hdf5_dict", None)
    for position, (feature, values) in enumerate(zip(features, columns)):
        if position == 0 or hdf5_dict is None:
            measurements.add_measurement(object_name, feature, values, data_type=numpy.float32)
        else:
            hdf5_dict[object_name, feature, number, numpy.float32] = values


def long_name(export, names, images, last_feature):
    """Find a column whose name is too long for an ExportToDatabase module.

    Parameters
    ----------
    export : cellprofiler.modules.exporttodatabase.ExportToDatabase
        The module.
    names, images : list of str
        Object sets (or "Image") and images that are measured.
    last_feature : str
        The part between the two in a column's name.

    Returns
    -------
    str or None
        What is wrong and what to do.
    """
    aggregate = max((len(name) + 1 for name in export.agg_names), default=0)
    limit = export.max_column_size.value
    for name in names:
        for image in images:
            column = f"{name}_{last_feature}_{image}"
            length = len(column) + (0 if name == IMAGE else aggregate)
            if length > limit:
                return (
                    f'ExportToDatabase shortens column names to {limit} characters, and "{column}" would have '
                    f'{length}: give the image "{image}" or "{name}" a shorter name.'
                )
    return None


def wide_table(export, columns):
    """Find a table of an ExportToDatabase module that gets too wide for its database.

    Parameters
    ----------
    export : cellprofiler.modules.exporttodatabase.ExportToDatabase
        The module.
    columns : list of tuple
        Measurement columns of the pipeline up to that module.

    Returns
    -------
    str or None
        What is wrong and what to do.
    """
    database = export.db_type.value
    limit = DATABASE_LIMITS.get(database, float("inf"))
    for table, (count, remedy) in database_tables(export, columns).items():
        if count > limit:
            return (
                f"ExportToDatabase (module #{export.module_num}) would write {count} columns into the table of "
                f"{table}; {database} holds about {limit}. {remedy}, or use ExportToSpreadsheet."
            )
    return None


def database_tables(export, columns):
    """Count the columns of the tables that an ExportToDatabase module will make.

    Parameters
    ----------
    export : cellprofiler.modules.exporttodatabase.ExportToDatabase
        The module.
    columns : list of tuple
        Measurement columns of the pipeline up to that module.

    Returns
    -------
    dict
        {contents of the table: (number of columns, what to do if these are too many)}
    """
    counts = {}
    for name, feature in (column[:2] for column in columns):
        if not export.ignore_feature(name, feature, strict=True, wanttime=True):
            counts[name] = counts.get(name, 0) + 1
    image = counts.pop(IMAGE, 0)
    objects = sum(counts.values())
    fewer = "Measure fewer images"
    if export.separate_object_tables.value == "One table per object type":
        tables = {name: (count, fewer) for name, count in counts.items()}
    else:
        tables = {"all objects": (objects, 'Choose "One table per object type" there')}
    aggregates = len(export.agg_names) * objects
    tables["images"] = (image + aggregates, "Switch off the per-image aggregates there" if aggregates else fewer)
    if export.agg_well_names:
        tables["wells"] = (image + objects, "Switch off the per-well aggregates there")
    return tables
