"""Training images from a pool with an index, and from plain folders."""

import io
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from microsnoop_engine.errors import InputError
from microsnoop_engine.trainer.pool import flatten, read_pool, to_uint8

PLANE = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)


def write_pool(folder, rows):
    """A pool of PNG images: (file, category, split, bytes or None)."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        lines = ["file,archive,category,split,source_repo,license"]
        for name, category, split, data in rows:
            lines.append(f"{name},images.zip,{category},{split},somebody/images,CC0")
            archive.writestr(name, as_png(PLANE) if data is None else data)
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def as_png(plane):
    data = io.BytesIO()
    Image.fromarray(plane).save(data, format="PNG")
    return data.getvalue()


def test_a_pool_gives_its_splits_by_category(tmp_path):
    rows = [("a.png", "phase", "train", None), ("b.png", "tissue", "train", None), ("c.png", "phase", "val", None)]
    pool = read_pool(write_pool(tmp_path, [*rows, ("d.png", "phase", "train", b"broken")]))
    assert pool.categories == {"phase": [0], "tissue": [1]}
    assert np.array_equal(pool.planes[0], PLANE)
    assert len(pool.skipped) == 1
    assert pool.skipped[0].startswith("d.png: ")
    assert pool.sources == {"somebody/images, CC0": 2}
    assert pool.members("tissue+phase") == [1, 0]
    assert pool.present(("fluorescence", "phase+brightfield", "tissue")) == ("phase+brightfield", "tissue")
    assert pool.present(("fluorescence",)) == ()
    assert len(read_pool(tmp_path, "val").planes) == 1


def test_sub_folders_are_categories_and_channels_become_planes(tmp_path):
    for category in ("fluorescence", "phase"):
        (tmp_path / category).mkdir()
        for number in range(6):
            image = np.random.default_rng(number).integers(0, 4000, (3, 30, 40)).astype(np.uint16)
            tifffile.imwrite(tmp_path / category / f"{number}.tif", image, photometric="minisblack")
    (tmp_path / "phase" / "broken.tif").write_text("no image")
    train, val = read_pool(tmp_path), read_pool(tmp_path, "val")
    assert len(train.skipped) + len(val.skipped) == 1
    assert len(train.planes) + len(val.planes) == 36
    assert len(val.planes) == 3
    assert set(train.categories) == {"fluorescence", "phase"}
    assert all(plane.dtype == np.uint8 for plane in train.planes)


def test_eight_bit_from_percentiles():
    plane = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    result = to_uint8(plane)
    low, high = np.percentile(plane, (0.1, 99.9))
    np.testing.assert_allclose(result, np.clip((plane - low) / (high - low), 0, 1) * 255, atol=0.51)


def test_flatten_keeps_every_plane():
    planes = [PLANE, PLANE[:20, :30], PLANE[5:, 5:]]
    pixels, starts, shapes = flatten(planes)
    for plane, start, shape in zip(planes, starts, shapes, strict=True):
        assert np.array_equal(pixels[start : start + plane.size].reshape(shape), plane)


def test_what_cannot_be_trained_on(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        read_pool(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no image of the split 'train'"):
        read_pool(tmp_path)
    pool = read_pool(write_pool(tmp_path / "pool", [("a.png", "phase", "train", None)]))
    with pytest.raises(InputError, match="no training images of category 'histology'; there are phase"):
        pool.members("histology")
    (tmp_path / "pool" / "images.zip").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"images\.zip' cannot be opened"):
        read_pool(tmp_path / "pool")
    (tmp_path / "pool" / "index.csv").write_text("file,category\na.png,phase\n")
    with pytest.raises(InputError, match="lacks the columns archive, split"):
        read_pool(tmp_path / "pool")


def as_tiff(planes, **options):
    data = io.BytesIO()
    tifffile.imwrite(data, planes, **options)
    return data.getvalue()


def test_an_archive_is_read_like_a_folder(tmp_path):
    """A 16-bit plane is scaled and not clipped; colors are separate planes; a gray picture in color is one plane."""
    random = np.random.default_rng(1)
    deep = random.integers(0, 4000, (40, 50)).astype(np.uint16)
    colors = random.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    gray = np.repeat(colors[..., :1], 3, axis=2)
    files = {"a.tif": as_tiff(deep), "b.png": as_png(colors), "c.png": as_png(gray)}
    pool = read_pool(write_pool(tmp_path / "pool", [(name, "x", "train", data) for name, data in files.items()]))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    planes = read_pool(folder).planes
    assert len(pool.planes) == len(planes) == 5
    for ours, theirs in zip(pool.planes, planes, strict=True):
        assert np.array_equal(ours, theirs)
    assert (pool.planes[0] == 255).mean() < 0.01
    assert np.array_equal(np.stack(pool.planes[1:4], -1), colors)
