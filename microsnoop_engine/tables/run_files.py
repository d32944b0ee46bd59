"""Names of the tables in an output folder of ``microsnoop profile``."""

TABLE = "profiles.parquet"
IMAGE_QUALITY = "quality.csv"
"""The quality and flags of its image sets, which queries may name too."""
FLAGGED_OBJECTS = "object_flags.csv"
"""Its flagged objects, by which queries may leave rows out."""
