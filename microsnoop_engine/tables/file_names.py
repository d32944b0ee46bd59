"""Name the files of a results folder."""

TABLE = "profiles.parquet"
"""Name of the table in an output folder of ``microsnoop profile``: one file, or a folder of parts."""
IMAGE_QUALITY = "quality.csv"
"""Beside the table of a run: the quality and flags of its image sets, which queries may name too."""
FLAGGED_OBJECTS = "object_flags.csv"
"""Beside the table of a run: its flagged objects, by which queries may leave rows out."""
