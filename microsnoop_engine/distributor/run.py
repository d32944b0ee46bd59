"""Measure image sets into a results folder, and continue a stopped run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ImageError, InputError, MicrosnoopError
from ..images.image_set import ImageSet
from ..images.image_set_file import write_image_sets
from ..images.inputs import find_inputs
from ..images.label_files import as_masks, match_rois
from ..images.left_out import LeftOut, write_left_out
from ..images.outline_files import OUTLINE_METADATA, has_outlines
from ..images.reading_options import ReadingOptions
from ..images.repeats import warn_of_copies
from ..model.embedder import Embedder
from ..modes.classical import MissingNumbers, check_classical, classical_names
from ..modes.measure import check_frame
from ..modes.settings import CropSettings
from ..segmentation.settings import SegmentationSettings
from ..storage.paths import as_path
from ..tables.layout import Layout, metadata_types
from .choosing import choose_image_sets
from .compute import ComputeSettings
from .description import OBJECT_QUALITY, describe_run
from .diameter import find_diameter, read_diameter, write_diameter
from .executors.executor import ExecutorFactory
from .executors.local import LocalExecutor
from .executors.machine import default_memory
from .job import Job, resolve_job
from .keys import image_set_keys
from .label_images import shared_folders, with_segmented_labels, write_contact_sheet
from .output_folder import check_results_folder
from .results import PART_BYTES, earlier_run, remove_flags, resume_table, write_csv, write_image_list
from .shards import Shard
from .summary import ImageSetFailure, RunSummary

log = logging.getLogger(__name__)

INSIDE_INPUT = "microsnoop"
"""Results folder inside an OME-Zarr plate or image; a plain folder, which readers of OME-Zarr ignore."""
_LOGGED_FAILURES = 20


def profile(
    input: str | Path | Sequence[ImageSet],
    out: str | Path | None = None,
    settings: CropSettings | None = None,
    *,
    channels: Sequence[str] | None = None,
    labels: str | Path | None = None,
    rois: str | Path | None = None,
    objects: str | None = None,
    segment: str | None = None,
    segment_channel: str | None = None,
    segmentation: SegmentationSettings | None = None,
    label_mask: bool = False,
    save_labels: bool = False,
    where: str | None = None,
    classical: bool = False,
    embedder: Embedder | None = None,
    compute: ComputeSettings | None = None,
    memory: int | None = None,
    shard: Shard | str | None = None,
    strict: bool = False,
    csv: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> RunSummary:
    """Measure images into a results folder, or continue a stopped run.

    Image sets that were measured before keep their rows, also if their place in the input, and so their ImageNumber,
    has changed. Those whose files or metadata have changed since are measured again, and those that are no longer in
    the input lose their rows.

    The folder holds the table ``profiles.parquet``, its ``manifest.jsonl``, the status of every image set
    (``images.csv``) and the image files (``image_sets.json``), also if the run stops early.

    Parameters
    ----------
    input : str, Path or sequence of ImageSet
        A LoadData CSV, a folder of images, an OME-Zarr plate or image, an image file, a .npz file, the address of one
        of these in an object store; or image sets.
    out : str or Path, optional
        Results folder. Default: ``microsnoop`` inside the OME-Zarr plate or image.
    settings : CropSettings, optional
    channels : sequence of str, optional
        Channels in the order of the columns. Default: all.
    labels : str or Path, optional
        Label image of a single image or stack, or folder of label images named like the images.
    rois : str or Path, optional
        ROI file of ImageJ, or a folder of them named like the images.
    objects : str, optional
        Name of the object set.
    segment, segment_channel : str, optional
        Segmentation method (``nuclei``, ``cellpose:MODEL`` or ``instanseg:MODEL``) and its channel.
    segmentation : SegmentationSettings, optional
        Diameter, contrast and pixel size of the objects to find.
    label_mask : bool
        Take label images as black-and-white masks, whose unconnected objects are numbered.
    save_labels : bool
        Write the segmented labels to ``labels`` in the results folder, and some of them to look at as
        ``segmentation.png``.
    where : str, optional
        Query of the image sets to measure, by default all (see :func:`.choose_image_sets`).
    classical : bool
        Also measure handcrafted features of the objects, under CellProfiler's names (extra ``classical``).
    embedder : Embedder, optional
        Measure with this embedder, in this process.
    compute : ComputeSettings, optional
        Weights, devices and executor, instead of an embedder.
    memory : int, optional
        Bytes for images and rows. Default: a quarter of the free memory, at most 4 GB.
    shard : Shard or str, optional
        Measure one of several shards (``3/10``) into a folder of its own in ``out``.
    strict : bool
        Stop at the first image set that cannot be measured.
    csv : bool
        Also write the table as ``profiles.csv``.
    on_progress : callable, optional
        Called with the number of image sets done and their total.
    **reading
        Further parameters of :func:`microsnoop_engine.find_image_sets`, such as ``pattern`` or ``layout``.

    Returns
    -------
    RunSummary

    Raises
    ------
    InputError
        If the input or an argument cannot be used, or a file that is read would be replaced by one of the results.
    ImageError
        With ``strict``, if an image set cannot be measured.
    ResumeError
        If the folder holds a run with other settings or other images, or another process writes to it.
    WeightsError, DeviceError, MissingExtraError
        If segmentation, network or executor cannot run at all.
    """
    if embedder is not None and compute is not None:
        raise InputError("`embedder` and `compute` exclude each other: pass one of them")
    settings = settings or CropSettings()
    if labels and (settings.mode != "cells" or segment):
        raise InputError("`labels` goes with `mode` cells, and without `segment`")
    if rois and (settings.mode != "cells" or segment or labels):
        raise InputError("`rois` goes with `mode` cells, and without `segment` and `labels`")
    if isinstance(input, Sequence) and not isinstance(input, str):
        _check_list(labels=labels, **reading)
        if out is None:
            raise InputError("`out` is missing: it is needed where `input` is a list of image sets")
        image_sets = match_rois(list(input), as_path(rois), objects or "Nuclei") if rois else input
        folder, left_out = as_path(out), []
    else:
        options = ReadingOptions(labels=labels, rois=rois, objects=objects or "Nuclei", **reading)
        inputs = find_inputs(input, options)
        image_sets, left_out = inputs.image_sets, inputs.left_out
        folder = results_inside(input, image_sets) if out is None else as_path(out)
    if where is not None:
        image_sets = choose_image_sets(image_sets, where)
    if label_mask:
        image_sets = as_masks(image_sets)
    job = resolve_job(image_sets, settings, channels, objects, segment, segment_channel, segmentation)
    job = replace(job, where=where)
    if classical:
        check_classical(settings.mode)
        job = replace(job, classical=True)
    if save_labels:
        if not job.segment_channel:
            raise InputError("`save_labels` goes with a segmentation: set `segment`, or leave out label images")
        job = replace(job, results=str(folder), shared_folders=shared_folders(image_sets, job.segment_channel))
    shard = Shard.parse(shard) if isinstance(shard, str) else shard
    paths = [input if isinstance(input, str | Path) else None, labels, rois, reading.get("illumination")]
    # the files of a shard are merged into the folder itself
    for written in (folder, folder / shard.folder) if shard else (folder,):
        check_results_folder(written, [as_path(path) for path in paths if path], image_sets, csv, save_labels)
    summary = run_job(
        image_sets,
        job,
        embedder or (compute or ComputeSettings()).executor_factory(),
        folder,
        default_memory() if memory is None else memory,
        strict,
        on_progress,
        shard=shard,
        left_out=left_out,
    )
    if save_labels and job.segment_channel:
        write_contact_sheet(folder, image_sets, job.segment_channel, job.shared_folders)
    if csv:
        summary.csv = write_csv(summary.folder)
    return summary


def results_inside(path: str | Path, image_sets: Sequence[ImageSet]) -> Path:
    """Name the results folder inside an OME-Zarr plate or image.

    Parameters
    ----------
    path : str or Path
    image_sets : sequence of ImageSet
        The image sets of that path.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the path is no OME-Zarr plate or image.
    """
    if any(source.level is None for image_set in image_sets for source in image_set.channels.values()):
        raise InputError(f"`out` is missing: only an OME-Zarr plate or image can hold results, '{path}' is none")
    return as_path(path) / INSIDE_INPUT


def run_job(
    image_sets: Sequence[ImageSet],
    job: Job,
    executor: Embedder | ExecutorFactory,
    folder: Path,
    memory: int = 2 << 30,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    part_bytes: int = PART_BYTES,
    shard: Shard | None = None,
    left_out: Sequence[LeftOut] = (),
) -> RunSummary:
    """Measure the image sets of a job into a results folder, or continue a stopped run.

    Parameters
    ----------
    image_sets : sequence of ImageSet
        Of the whole run, also where a shard of them is measured.
    job : Job
    executor : Embedder or callable
        An embedder, to measure in this process; or a function that builds an executor from the job and the bytes for
        images and rows.
    folder : Path
        Results folder.
    memory : int
        Bytes for images that are read ahead and rows that are not written yet.
    strict : bool
        Stop at the first image set that cannot be measured.
    on_progress : callable, optional
        Called with the number of image sets done and their total.
    part_bytes : int
        Size of the parts of the table.
    shard : Shard, optional
        Measure this shard, into a folder of its own.
    left_out : sequence of LeftOut
        Files of the input that are not measured, to be listed in the results folder.

    Returns
    -------
    RunSummary

    Raises
    ------
    ImageError
        With ``strict``, if an image set cannot be measured.
    ResumeError
        If the folder holds a run with other settings or other images, or another process writes to it.
    WeightsError, DeviceError, MissingExtraError
        If segmentation, network or executor cannot run at all.
    """
    diameter, shared = None, folder
    if job.settings.needs_diameter:
        diameter = read_diameter(folder) or find_diameter(image_sets, job)
        job = diameter.complete(job)
    start = partial(LocalExecutor, executor) if isinstance(executor, Embedder) else executor
    with start(job, memory) as running:
        check_frame(job.settings, running.card.sees)
        if diameter:
            diameter.log(job, running.card.sees)
        metadata = metadata_types(image_set.metadata for image_set in image_sets)
        if any(has_outlines(image_set, job.objects) for image_set in image_sets):
            metadata |= dict.fromkeys(OUTLINE_METADATA, str)
        dimension = running.card.dimension * len(job.settings.magnifications)
        names = classical_names(job.channels) if job.classical else ()
        rated = job.settings.mode == "cells" and _rates_objects(folder / shard.folder if shard else folder)
        layout = Layout(job.objects, tuple(job.channels), metadata, dimension, tuple(names), rated)
        run = describe_run(image_sets, job, running.card, running.precision, rated)
        if shard:
            run |= {"shard": str(shard)}
            image_sets, folder = shard.of(image_sets), folder / shard.folder
        with resume_table(folder, layout, run, part_bytes, image_set_keys(image_sets, metadata)) as writer:
            summary = RunSummary(folder, job, dimension, len(image_sets), writer.done, resumed=len(writer.done))
            if diameter:
                write_diameter(shared, diameter)
            write_image_sets(folder, with_segmented_labels(image_sets, job), job.channels)
            write_left_out(folder, left_out)
            missing = MissingNumbers(names)
            remaining = [image_set for image_set in image_sets if image_set.number not in writer.done]
            try:
                for done, (image_set, outcome) in enumerate(running.measured(remaining), start=1):
                    if isinstance(outcome, MicrosnoopError):
                        _report_failure(summary, ImageSetFailure.of(image_set, outcome), outcome, strict)
                    else:
                        summary.crops += outcome.crops
                        missing.add(outcome.measurement.classical)
                        writer.write(image_set, outcome.measurement, outcome.quality)
                    if on_progress:
                        on_progress(summary.resumed + done, len(image_sets))
                writer.finish()
                missing.log()
                if remaining:
                    qualities = {number: entry.get("quality", {}) for number, entry in writer.done.items()}
                    warn_of_copies(image_sets, job.channels, qualities)
            finally:
                writer.flush()
                writer.check_lock()
                failures = {failure.number: asdict(failure) for failure in summary.failures}
                write_image_list(folder, image_sets, writer.done, failures)
                if remaining:
                    remove_flags(folder)
    return summary


def _rates_objects(folder: Path) -> bool:
    """Return False for a folder of an earlier version, whose rows lack the quality of objects; all rows are alike."""
    before = earlier_run(folder)
    if before is None or OBJECT_QUALITY in before:
        return True
    log.warning(
        "'%s' was begun by an earlier version, without the quality of objects: it is continued without; to have it, "
        "measure into another folder",
        folder,
    )
    return False


def _check_list(**arguments: object) -> None:
    """Refuse arguments that go with a path when the input is a list of image sets."""
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise InputError(f"`{name}` goes with a path as `input`, not with a list of image sets")


def _report_failure(summary: RunSummary, failure: ImageSetFailure, error: MicrosnoopError, strict: bool) -> None:
    summary.failures.append(failure)
    if strict:
        raise ImageError(str(failure), failure.file, failure.channel) from error
    if len(summary.failures) <= _LOGGED_FAILURES:
        log.error("%s", failure)
    if len(summary.failures) == _LOGGED_FAILURES:
        log.error("further failures are only listed in %s", summary.image_list)
