"""Define the steps of a screen file: the command of each, what it reads and what it writes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..tables.file_names import FLAGGED_OBJECTS, IMAGE_QUALITY, TABLE

ALL_ROWS = "all"
"""Control rows of a screen without controls."""
OUTPUTS = ("out", "save", "dropped", "counts", "curves")
"""Options that name a file to write; all other paths of a command are read."""
OBJECT_SETS = "object_sets"
"""Setting of ``profile``: the settings of each object set, which is measured by a run of its own."""


@dataclass(frozen=True)
class StepKind:
    """Describe a step: a section of a screen file, and the command that it stands for.

    Results have roles, by which later steps find them: ``table`` is the table that the next step reads.

    Attributes
    ----------
    name : str
        Section of the file.
    argument : str
        Role of the result that the command reads first; of ``input``, the setting of that name.
    writes : tuple of (str or None, str, str)
        Option, file in the output folder, and role of each result, the main one first; without an option where the
        command names the file itself. ``{profiles}`` is the results folder of ``profile``.
    takes : tuple of str
        Roles of earlier results that go into the option of the same name, where they exist.
    command : tuple of str
        Words of the command; by default the name.
    positional : tuple of str
        Settings that follow the first argument without an option.
    pairs : tuple of str
        Settings whose list is several words, not one with commas.
    repeated : tuple of str
        Settings whose list is an option for each.
    inherits : dict of str to tuple of str
        Settings that are taken from other sections, the first that has one, unless the section has its own.
    corrects : bool
        The table before the first such step is the one ``before`` the correction.
    resumes : bool
        The command itself skips what is done; it is always started.
    printed : bool
        The result is what the command prints.
    """

    name: str
    argument: str
    writes: tuple[tuple[str | None, str, str], ...]
    takes: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    inherits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    corrects: bool = False
    resumes: bool = False
    printed: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the command."""
        return self.command or (self.name,)

    def placed(self, folder: str, objects: str = "") -> StepKind:
        """Return the step with its files in a results folder, of an object set that is not the first if named."""
        of = f" of {objects}" if objects else ""
        return replace(
            self, writes=tuple((option, file.format(profiles=folder), role + of) for option, file, role in self.writes)
        )


_OF_IMAGES = ("pattern", "layout", "channel_name", "allow_unmatched", "project", "plane", "time", "pages", "channels")

STEPS = (
    StepKind(
        "illumination",
        "input",
        (("out", "illumination", "illumination"),),
        inherits=dict.fromkeys(("input", *_OF_IMAGES), ("profile",)),
    ),
    StepKind(
        "profile",
        "input",
        (("out", "{profiles}", "profiles"), (None, f"{{profiles}}/{TABLE}", "table")),
        takes=("illumination",),
        resumes=True,
    ),
    StepKind(
        "qc",
        "profiles",
        ((None, f"{{profiles}}/{IMAGE_QUALITY}", "quality"), (None, f"{{profiles}}/{FLAGGED_OBJECTS}", "flagged")),
    ),
    # beside the table of the run, where later steps find its flags
    StepKind("combine", "table", (("out", "{profiles}/combined.parquet", "table"),), positional=("tables",)),
    StepKind(
        "classify-train",
        "table",
        (("out", "classifier.safetensors", "classifier"),),
        command=("classify", "train"),
        repeated=("labels",),
    ),
    StepKind(
        "classify",
        "table",
        (("out", "classes.parquet", "classes"), ("counts", "class_counts.csv", "counts")),
        takes=("classifier",),
        command=("classify", "apply"),
        positional=("classifier",),
    ),
    StepKind("explain", "table", (("out", "explained.csv", "explained"),), pairs=("between",)),
    StepKind("aggregate", "table", (("out", "aggregated.parquet", "table"),)),
    StepKind("normalize", "table", (("out", "normalized.parquet", "table"),)),
    StepKind(
        "select-features",
        "table",
        (("out", "selected.parquet", "table"), ("dropped", "dropped_features.csv", "dropped")),
    ),
    StepKind("activity", "table", (("out", "activity.csv", "activity"), (None, "activity-curves.csv", "curves"))),
    StepKind("compare-corrections", "table", (("out", "corrections.csv", "corrections"),)),
    StepKind(
        "sphere",
        "table",
        (("out", "sphered.parquet", "table"), ("save", "sphering.safetensors", "transform")),
        corrects=True,
    ),
    StepKind("correct", "table", (("out", "corrected.parquet", "table"),), corrects=True),
    StepKind("evaluate", "table", ((None, "evaluation.txt", "evaluation"),), printed=True),
    StepKind(
        "report",
        "table",
        (("out", "report.html", "report"),),
        takes=("profiles", "before", "transform", "corrections", "activity", "explained", "classes"),
        inherits={
            "controls": ("sphere", "correct", "activity", "compare-corrections"),
            "label": ("evaluate",),
            "compound": ("evaluate", "activity"),
            "batch": ("evaluate", "correct", "compare-corrections"),
            "groups": ("evaluate",),
            "neighbors": ("evaluate",),
            "treatment": ("activity", "compare-corrections"),
            "positive": ("activity",),
            "dose": ("activity",),
        },
    ),
)
"""The steps in their order."""
