"""Describe a training in plain sentences, for the command line and for hosts."""

from __future__ import annotations

from typing import Any

from ..errors import counted, listing
from ..evaluation.scores import Estimate
from .training import TableTraining


def training_lines(training: TableTraining) -> list[str]:
    """Describe a training: what it was trained on, and the scores of held-out cells.

    Parameters
    ----------
    training : TableTraining

    Returns
    -------
    list of str
    """
    validation, labels = training.validation, training.labels
    cells = int(validation.confusion.sum())
    parts = f" of {training.units} {training.unit}" if training.unit != "cells" else ""
    lines = [f"{counted(cells, 'labeled cells')}{parts}, {counted(len(training.model.features), 'features')}"]
    if training.incomplete:
        lines.append(f"{counted(training.incomplete, 'labeled cells')} with missing features left out")
    if labels.blank:
        lines.append(f"{counted(labels.blank, 'lines')} without a label left out")
    if labels.ungrouped:
        lines.append(f"{counted(labels.ungrouped, 'outlines')} without a group (0) left out")
    if labels.unmatched:
        lines.append(
            f"{counted(len(labels.unmatched), 'labels belong', 'label belongs')} to no row: "
            f"{listing(labels.unmatched, 3)}"
        )
    lines.append(accuracy_sentence(training))
    for number, name in enumerate(validation.classes):
        found, right = validation.recall[number], validation.precision[number]
        precise = "never predicted" if right != right else f"{100 * right:.1f} % of those predicted are right"
        lines.append(f"  {name}: {counted(found.rows, 'cells')}, {_share(found)} found; {precise}")
    lines += [
        "cells by true class (rows) and predicted class (columns):",
        *_confusion_lines(validation.classes, validation.confusion),
    ]
    bins = (
        f"{counted(validation.bins, 'bins')} of equally many held-out cells"
        if validation.bins > 1
        else "all held-out cells"
    )
    lines.append(f"probabilities are off by {100 * validation.calibration_error:.1f} points on average ({bins})")
    return lines


def accuracy_sentence(training: TableTraining) -> str:
    """Describe the balanced accuracy of held-out cells, and say if it may as well be that of guessing.

    Parameters
    ----------
    training : TableTraining

    Returns
    -------
    str
    """
    estimate, chance = training.validation.balanced_accuracy, 1 / len(training.validation.classes)
    held = f"{training.unit} held out"
    if training.unit == "cells":
        held = "single cells held out, others of their image known"
    sentence = f"balanced accuracy {_share(estimate)}, {held}"
    if not estimate.low > chance:
        sentence += f"; too few examples to tell whether that is better than guessing ({100 * chance:.0f} %)"
    return sentence


def _share(estimate: Estimate) -> str:
    """Write a share with its interval and what that is over."""
    if estimate.low != estimate.low:
        return f"{100 * estimate.value:.1f} % (no interval)"
    interval = f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
    return f"{100 * estimate.value:.1f} % ({interval} over {estimate.units} {estimate.unit})"


def _confusion_lines(classes: tuple[str, ...], confusion: Any) -> list[str]:
    """Write a confusion matrix as a table of text."""
    rows = [["", *classes], *([name, *map(str, row)] for name, row in zip(classes, confusion.tolist(), strict=True))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
