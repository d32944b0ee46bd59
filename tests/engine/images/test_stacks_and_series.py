"""Read files that hold several images, depths or time points: each plane is the right one, or the file is refused."""

import shutil

import numpy as np
import pytest
import tifffile
from image_files import RNG

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.selection import PlaneSelection

STACK = RNG.integers(0, 60000, (2, 3, 4, 20, 30), np.uint16)
"""Time, depth, channel, row, column."""
CHANNELS = ["DNA", "ER", "Actin", "RNA"]
PAGES = STACK[0, :, 0]


def pixels(image_set, names=None):
    return read_channels(image_set, names or list(image_set.channels))


def write_stack(path, axes):
    array = np.moveaxis(STACK, range(5), [axes.index(axis) for axis in "TZCYX"])
    if "ome" in path.name:
        metadata = {"axes": axes, "Channel": {"Name": CHANNELS}}
        tifffile.imwrite(path, array, metadata=metadata, compression="zlib" if "packed" in path.name else None)
    elif "imagej" in path.name:
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})
    else:
        tifffile.imwrite(path, array, metadata={"axes": axes}, photometric="minisblack")
    return path


STACKS = [("a.ome.tif", "TZCYX"), ("packed.ome.tif", "CTZYX"), ("imagej.tif", "TZCYX"), ("a.tif", "ZCTYX")]


@pytest.mark.parametrize(("name", "axes"), STACKS)
def test_every_plane_and_time(tmp_path, name, axes):
    sets = find_image_sets(write_stack(tmp_path / name, axes), selection=PlaneSelection(plane="all", time="all"))
    assert [s.number for s in sets] == [1, 2, 3, 4, 5, 6]
    assert list(sets[0].channels) == (CHANNELS if "ome" in name else ["C1", "C2", "C3", "C4"])
    for image_set in sets:
        time, plane = image_set.metadata["Time"], image_set.metadata["Plane"]
        assert np.array_equal(pixels(image_set), STACK[time, plane])


@pytest.mark.parametrize(("name", "axes"), STACKS)
def test_a_stack_has_to_be_chosen_from(tmp_path, name, axes):
    (image_set,) = find_image_sets(write_stack(tmp_path / name, axes))
    with pytest.raises(ImageError, match=r"is a stack of 3 planes in depth: choose `project` .* or `plane`"):
        pixels(image_set)
    (image_set,) = find_image_sets(tmp_path / name, selection=PlaneSelection(project="max"))
    with pytest.raises(ImageError, match="is a series of 2 time points: choose `time`"):
        pixels(image_set)


SHARP = np.pad(np.full((4, 4), 900, np.uint16), 8)
BLURRED = np.full((20, 20), 9000, np.uint16)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"project": "max"}, STACK[1].max(0)),
        ({"project": "mean"}, STACK[1].astype(float).mean(0)),
        ({"project": "sum"}, STACK[1].sum(0, dtype=np.uint64)),
        ({"plane": 2}, STACK[1, 2]),
        ({"plane": "middle"}, STACK[1, 1]),
    ],
)
@pytest.mark.parametrize(("name", "axes"), STACKS)
def test_projections_and_planes(tmp_path, name, axes, selection, expected):
    (image_set,) = find_image_sets(write_stack(tmp_path / name, axes), selection=PlaneSelection(time=1, **selection))
    assert np.allclose(pixels(image_set), expected, rtol=1e-12)


def test_focus_takes_the_sharpest_plane(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([BLURRED, SHARP, BLURRED]), imagej=True, metadata={"axes": "ZYX"})
    (image_set,) = find_image_sets(tmp_path / "a.tif", selection=PlaneSelection(project="focus"))
    assert np.array_equal(pixels(image_set)[0], SHARP)


def test_projection_of_files_named_by_a_table_and_a_pattern(tmp_path):
    write_stack(tmp_path / "A01_imagej.tif", "TZCYX")
    tifffile.imwrite(tmp_path / "A01_DNA.tif", PAGES, imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "a.csv").write_text("FileName_DNA\nA01_DNA.tif\n")
    for found in (
        find_image_sets(tmp_path / "a.csv", selection=PlaneSelection(project="max")),
        find_image_sets(tmp_path, "{Well}_{Channel}.tif", selection=PlaneSelection(project="max")),
    ):
        assert np.array_equal(pixels(found[0], ["DNA"])[0], PAGES.max(0))
    with pytest.raises(InputError, match="`plane` = 'all' goes with a folder without `pattern`"):
        find_image_sets(tmp_path / "a.csv", selection=PlaneSelection(plane="all"))


@pytest.mark.parametrize("options", [{"project": "median"}, {"plane": -1}, {"plane": "some"}, {"pages": "z"}])
def test_bad_selection(options):
    with pytest.raises(InputError, match=f"`{next(iter(options))}` is '"):
        PlaneSelection(**options)


@pytest.mark.parametrize("writer", ["stack", "one by one", "foreign"])
def test_pages_without_a_meaning(tmp_path, writer):
    path = tmp_path / "a.tif"
    if writer == "stack":
        tifffile.imwrite(path, PAGES, photometric="minisblack")
    else:
        with tifffile.TiffWriter(path) as tiff:
            for page in PAGES:
                tiff.write(page, metadata=None if writer == "foreign" else {})
    (image_set,) = find_image_sets(path)
    with pytest.raises(ImageError, match="holds 3 pages, and no metadata say what they are: choose `pages`"):
        pixels(image_set)
    (channels,) = find_image_sets(path, selection=PlaneSelection(pages="channels"))
    assert list(channels.channels) == ["C1", "C2", "C3"]
    assert np.array_equal(pixels(channels), PAGES)
    images = find_image_sets(path, selection=PlaneSelection(pages="images"))
    assert [s.metadata["Page"] for s in images] == [0, 1, 2]
    assert np.array_equal(np.concatenate([pixels(s) for s in images]), PAGES)
    (projected,) = find_image_sets(path, selection=PlaneSelection(project="max"))
    assert np.array_equal(pixels(projected)[0], PAGES.max(0))
    times = find_image_sets(path, selection=PlaneSelection(pages="time", time="all"))
    assert [s.metadata["Time"] for s in times] == [0, 1, 2]
    assert np.array_equal(np.concatenate([pixels(s) for s in times]), PAGES)


def test_every_series_is_an_image_set(tmp_path):
    with tifffile.TiffWriter(tmp_path / "wells.ome.tif") as tiff:
        for number, name in enumerate(("A01", "A02")):
            tiff.write(STACK[number, 0], metadata={"axes": "CYX", "Name": name, "Channel": {"Name": CHANNELS}})
    sets = find_image_sets(tmp_path / "wells.ome.tif")
    assert [(s.metadata["Series"], s.metadata["SeriesName"]) for s in sets] == [(0, "A01"), (1, "A02")]
    for number, image_set in enumerate(sets):
        assert np.array_equal(pixels(image_set, CHANNELS), STACK[number, 0])


@pytest.mark.parametrize("order", ["thumbnail first", "thumbnail last"])
def test_thumbnails_are_left_out(tmp_path, order):
    thumbnail = (PAGES[0, ::4, ::4], {"subfiletype": 1})
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for array, options in sorted(
            [thumbnail, (PAGES[0], {})], key=lambda each: len(each[0]), reverse="last" in order
        ):
            tiff.write(array, metadata=None, **options)
    (image_set,) = find_image_sets(tmp_path / "a.tif")
    assert np.array_equal(pixels(image_set)[0], PAGES[0])


def test_pyramid_is_read_at_full_resolution(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        tiff.write(STACK[0, 0], subifds=1, metadata={"axes": "CYX"})
        tiff.write(STACK[0, 0, :, ::2, ::2], subfiletype=1)
    (image_set,) = find_image_sets(tmp_path / "a.ome.tif")
    assert np.array_equal(pixels(image_set), STACK[0, 0])


def write_with_xml(path, pages, channels, **options):
    """Pages with OME-XML that names channels of one sample each."""
    named = "".join(f'<Channel ID="Channel:0:{n}" Name="{name}"/>' for n, name in enumerate(channels))
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0"'
        f' DimensionOrder="XYCZT" Type="uint16" SizeX="30" SizeY="20" SizeC="{len(channels)}" SizeZ="1" SizeT="1">'
        f"{named}<TiffData/></Pixels></Image></OME>"
    )
    with tifffile.TiffWriter(path) as tiff:
        for number, page in enumerate(pages):
            tiff.write(page, description=None if number else xml, metadata=None, **options)
    return path


def test_pages_that_the_metadata_do_not_name_are_refused(tmp_path):
    pages = STACK[0, 0]
    (image_set,) = find_image_sets(write_with_xml(tmp_path / "a.ome.tif", pages, ["DNA", "ER"]))
    with pytest.raises(ImageError, match="holds 4 pages, of which its OME-XML names 2 as planes: write it again"):
        pixels(image_set)
    smaller = [*pages[:2], pages[0, ::4, ::4]]
    (image_set,) = find_image_sets(write_with_xml(tmp_path / "b.ome.tif", smaller, ["DNA", "ER"]))
    assert np.array_equal(pixels(image_set), pages[:2])


@pytest.mark.parametrize("channels", [["DNA"], ["DNA", "ER", "RNA"]])
@pytest.mark.parametrize(("kind", "layout"), [("minisblack", "separate"), ("minisblack", "contig"), ("rgb", "contig")])
def test_samples_that_the_metadata_do_not_name_are_refused(tmp_path, channels, kind, layout):
    page = STACK[0, :, 0] if layout == "separate" else np.moveaxis(STACK[0, :, 0], 0, -1)
    path = write_with_xml(tmp_path / "a.ome.tif", [page], channels, photometric=kind, planarconfig=layout)
    (image_set,) = find_image_sets(path)
    # a color picture is one, though its metadata do not count the colors
    if kind == "rgb" and channels == ["DNA"]:
        assert list(image_set.channels) == ["Red", "Green", "Blue"]
        assert np.array_equal(pixels(image_set), STACK[0, :, 0])
    else:
        with pytest.raises(ImageError, match="holds 3 samples per pixel where its OME-XML says one"):
            pixels(image_set)


@pytest.mark.parametrize("suffix", [".svs", ".scn", ".qptiff", ".btf", ".lsm", ".stk"])
def test_tiff_by_another_suffix(tmp_path, suffix):
    tifffile.imwrite(tmp_path / f"a{suffix}", PAGES[0])
    (image_set,) = find_image_sets(tmp_path)
    assert np.array_equal(pixels(image_set)[0], PAGES[0])


def frames(tmp_path, name, header, row):
    (tmp_path / "a.csv").write_text(f"FileName_A,{header}\n{name},{row}\n")
    (image_set,) = find_image_sets(tmp_path / "a.csv")
    return pixels(image_set)[0]


@pytest.mark.parametrize(
    ("name", "axes", "place"),
    [("a.ome.tif", "TZCYX", (1, 2, 3)), ("b.ome.tif", "CTZYX", (1, 2, 1)), ("imagej.tif", "TZCYX", (1, 0, 2))],
)
def test_frames_count_as_in_the_file(tmp_path, name, axes, place):
    write_stack(tmp_path / name, axes)
    lengths, numbers = dict(zip("TZC", STACK.shape, strict=False)), dict(zip("TZC", place, strict=True))
    frame = np.ravel_multi_index([numbers[axis] for axis in axes[:3]], [lengths[axis] for axis in axes[:3]])
    assert np.array_equal(frames(tmp_path, name, "Series_A,Frame_A", f"0,{frame}"), STACK[place])


def test_names_of_channels_in_a_stack_of_imagej(tmp_path):
    stack = STACK[0, :2, :2]
    names = [f"c:{c + 1}/2 z:{z + 1}/2 - {name}" for z in range(2) for c, name in enumerate(CHANNELS[:2])]
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX", "Labels": names})
    (image_set,) = find_image_sets(tmp_path / "a.tif", selection=PlaneSelection(plane=1))
    assert np.array_equal(pixels(image_set, CHANNELS[:2]), stack[1])
    names = [f"c:{c + 1}/2 z:{z + 1}/2 - a.czi" for z in range(2) for c in range(2)]
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX", "Labels": names})
    (image_set,) = find_image_sets(tmp_path / "a.tif", selection=PlaneSelection(plane=1))
    assert list(image_set.channels) == ["C1", "C2"]


def test_wells_in_ome_xml(tmp_path):
    path = tmp_path / "plate.ome.tif"
    with tifffile.TiffWriter(path) as tiff:
        for page in PAGES:
            tiff.write(page, metadata={"axes": "YX"})
    samples = [f'<WellSample ID="WellSample:{n}" Index="{n}"><ImageRef ID="Image:{n}"/></WellSample>' for n in range(3)]
    plate = (
        f'<Plate ID="Plate:0"><Well ID="Well:0" Row="1" Column="2">{samples[0]}{samples[2]}</Well>'
        f'<Well ID="Well:1" Row="7" Column="11">{samples[1]}</Well></Plate>'
    )
    tifffile.tiffcomment(path, tifffile.tiffcomment(path).replace("<Image ", f"{plate}<Image ", 1).encode())
    sets = find_image_sets(path)
    assert [(s.metadata["Series"], s.metadata["Well"]) for s in sets] == [(0, "B03"), (1, "H12"), (2, "B03")]
    tifffile.imwrite(tmp_path / "other.tif", PAGES[0])
    assert [s.metadata.get("Well") for s in find_image_sets(tmp_path)] == [None, "B03", "H12", "B03"]


def test_series_column(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for page in PAGES:
            tiff.write(page, metadata={"axes": "YX"})
    for series in range(3):
        assert np.array_equal(frames(tmp_path, "a.ome.tif", "Series_A", f"{series}"), PAGES[series])
    with pytest.raises(ImageError, match="holds 3 images where one was expected: choose one by a column Series_"):
        frames(tmp_path, "a.ome.tif", "Metadata_Well", "A01")
    with pytest.raises(ImageError, match="there is no series 3"):
        frames(tmp_path, "a.ome.tif", "Series_A,Frame_A", "3,0")


def test_channel_column_of_a_color_picture(tmp_path):
    rgb = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    assert np.array_equal(frames(tmp_path, "a.tif", "Frame_A,Channel_A", "0,2"), rgb[..., 2])
    with pytest.raises(ImageError, match=r"is a color picture .* choose a color by a column Channel_"):
        frames(tmp_path, "a.tif", "Series_A,Frame_A", "0,0")


# ---- one image in several files


def write_set(folder, compression=None, companion=False, names=("c0", "c1", "c2"), axis="C"):
    """The first three channels in a file each; of another axis, three planes of one channel."""
    folder.mkdir()
    uuids = [f"urn:uuid:0000000{c}-0000-4000-8000-000000000000" for c in range(3)]
    channels = "".join(
        f'<Channel ID="Channel:0:{c}" Name="{CHANNELS[c]}" SamplesPerPixel="1"/>'
        for c in range(3 if axis == "C" else 1)
    )
    data = "".join(
        f'<TiffData IFD="0" First{axis}="{c}" PlaneCount="1"><UUID FileName="c{c}.ome.tif">{uuids[c]}</UUID></TiffData>'
        for c in range(3)
    )
    sizes = " ".join(f'Size{each}="{3 if each == axis else 1}"' for each in "CZT")
    image = (
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="30" SizeY="20"'
        f' {sizes} PhysicalSizeX="325" PhysicalSizeXUnit="nm">{channels}{data}</Pixels></Image>'
    )
    schema = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    if companion:
        (folder / "a.companion.ome").write_text(f"{schema}>{image}</OME>")
        image = '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:9"/>'
    for c, name in enumerate(names):
        xml = f'{schema} UUID="{uuids[c]}">{image}</OME>'
        tifffile.imwrite(
            folder / f"{name}.ome.tif", STACK[0, 0, c], description=xml, metadata=None, compression=compression
        )
    return folder


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("companion", [False, True])
def test_a_set_of_files_is_one_image_set(tmp_path, compression, companion):
    folder = write_set(tmp_path / "set", compression, companion)
    for found in (find_image_sets(folder), find_image_sets(folder / "c1.ome.tif")):
        (image_set,) = found
        assert np.array_equal(pixels(image_set, CHANNELS[:3]), STACK[0, 0, :3])


def test_a_named_file_of_a_set_gives_its_own_plane(tmp_path):
    folder = write_set(tmp_path / "set")
    (tmp_path / "a.csv").write_text("FileName_A,FileName_B,Frame_B\nset/c2.ome.tif,set/c1.ome.tif,0\n")
    (image_set,) = find_image_sets(tmp_path / "a.csv")
    assert np.array_equal(pixels(image_set), STACK[0, 0, [2, 1]])
    (image_set,) = find_image_sets(folder, "c{Channel}.ome.tif")
    assert np.array_equal(pixels(image_set, ["2", "0"]), STACK[0, 0, [2, 0]])


def test_a_stack_of_one_channel_in_several_files(tmp_path):
    """Every plane is that of its file, not that of the file that is opened."""
    folder = write_set(tmp_path / "depth", axis="Z")
    planes = find_image_sets(folder, selection=PlaneSelection(plane="all"))
    assert np.array_equal([pixels(each)[0] for each in planes], STACK[0, 0, :3])
    (projected,) = find_image_sets(folder, selection=PlaneSelection(project="max"))
    assert np.array_equal(pixels(projected)[0], STACK[0, 0, :3].max(0))
    (image_set,) = find_image_sets(folder)
    with pytest.raises(ImageError, match="is a stack of 3 planes in depth"):
        pixels(image_set)
    (tmp_path / "a.csv").write_text("FileName_A\ndepth/c1.ome.tif\n")
    (named,) = find_image_sets(tmp_path / "a.csv")
    assert np.array_equal(pixels(named)[0], STACK[0, 0, 1])
    (projected,) = find_image_sets(tmp_path / "a.csv", selection=PlaneSelection(project="max"))
    assert np.array_equal(pixels(projected)[0], STACK[0, 0, :3].max(0))
    times = find_image_sets(write_set(tmp_path / "time", axis="T"), selection=PlaneSelection(time="all"))
    assert np.array_equal([pixels(each)[0] for each in times], STACK[0, 0, :3])


def test_positions_in_a_file_each_belong_to_that_file(tmp_path):
    """As Micro-Manager writes them: the first file has the metadata of all."""
    schema = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    images = "".join(
        f'<Image ID="Image:{p}"><Pixels ID="Pixels:{p}" DimensionOrder="XYCZT" Type="uint16" SizeX="30" SizeY="20" '
        f'SizeC="2" SizeZ="1" SizeT="1"><Channel Name="DNA"/><Channel Name="ER"/><TiffData IFD="0" PlaneCount="2">'
        f'<UUID FileName="pos{p}.ome.tif">urn:uuid:{p}</UUID></TiffData></Pixels></Image>'
        for p in range(2)
    )
    texts = [f"{images}</OME>", '<BinaryOnly MetadataFile="pos0.ome.tif" UUID="urn:uuid:0"/></OME>']
    for p, text in enumerate(texts):
        with tifffile.TiffWriter(tmp_path / f"pos{p}.ome.tif") as tiff:
            for plane in STACK[p, 0, :2]:
                tiff.write(plane, description=f'{schema} UUID="urn:uuid:{p}">{text}', metadata=None)
                text = None
    sets = find_image_sets(tmp_path)
    assert [each.metadata["File"] for each in sets] == ["pos0.ome.tif", "pos1.ome.tif"]
    for each, expected in zip(sets, STACK[:, 0, :2], strict=True):
        assert np.array_equal(pixels(each, ["DNA", "ER"]), expected)
    (tmp_path / "a.csv").write_text("FileName_A,Channel_A\npos1.ome.tif,1\n")
    (named,) = find_image_sets(tmp_path / "a.csv")
    assert np.array_equal(pixels(named)[0], STACK[1, 0, 1])


def test_the_metadata_of_a_set_are_no_image(tmp_path):
    folder = write_set(tmp_path / "set", companion=True)
    with pytest.raises(InputError, match="holds the metadata of OME-TIFF files: use their folder, or one of them"):
        find_image_sets(folder / "a.companion.ome")


def test_a_lost_member_is_named(tmp_path):
    folder = write_set(tmp_path / "set")
    for lost, named in (("c2", "Actin"), ("c0", "DNA")):
        part = shutil.copytree(folder, tmp_path / lost)
        (part / f"{lost}.ome.tif").unlink()
        (image_set,) = find_image_sets(part)
        with pytest.raises(ImageError, match="there is no such file; it holds planes of") as caught:
            pixels(image_set)
        assert (caught.value.path, caught.value.channel) == (str(part / f"{lost}.ome.tif"), named)
        assert np.array_equal(pixels(image_set, ["ER"])[0], STACK[0, 0, 1])


def test_members_that_were_renamed_or_replaced(tmp_path):
    folder = write_set(tmp_path / "set", names=("x0", "x1", "x2"))
    (image_set,) = find_image_sets(folder)
    assert np.array_equal(pixels(image_set, CHANNELS[:3]), STACK[0, 0, :3])
    folder = write_set(tmp_path / "swapped", names=("c0", "c2", "c1"))
    (image_set,) = find_image_sets(folder)
    assert np.array_equal(pixels(image_set, CHANNELS[:3]), STACK[0, 0, :3])
    other = write_set(tmp_path / "other", names=("c2", "c1", "c0"))
    shutil.copy(other / "c1.ome.tif", folder / "c2.ome.tif")
    (folder / "c1.ome.tif").write_bytes((other / "c2.ome.tif").read_bytes())
    (image_set,) = find_image_sets(folder / "c0.ome.tif")
    with pytest.raises(ImageError, match=r"does not belong to 'c0\.ome\.tif': its UUID is"):
        pixels(image_set, ["Actin"])


def test_a_renamed_single_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0, 0], metadata={"axes": "CYX", "UUID": "urn:uuid:7"})
    (tmp_path / "a.ome.tif").rename(tmp_path / "b.ome.tif")
    (image_set,) = find_image_sets(tmp_path)
    assert np.array_equal(pixels(image_set), STACK[0, 0])


@pytest.mark.parametrize("positions", [[0, 1, 2], ["A1-Site_0", "A1-Site_1", "B2-Site_0"]])
def test_positions_of_micro_manager(tmp_path, caplog, positions):
    ndstorage = pytest.importorskip("ndstorage")
    data = ndstorage.NDTiffDataset(str(tmp_path), name="acq", writable=True, summary_metadata={})
    # not in the order of the alphabet; some programs list the axes in any order
    places = [{"position": position, "channel": channel} for position in positions for channel in ("GFP", "DAPI")]
    for number, place in enumerate(places):
        order = reversed(place) if number % 2 else place
        data.put_image({axis: place[axis] for axis in order}, STACK[0, number // 2, number % 2], {})
    data.finish()
    data.close()
    (folder,) = tmp_path.glob("acq_*")
    sets = find_image_sets(folder)
    assert [s.metadata["Series"] for s in sets] == [0, 1, 2]
    assert [s.metadata.get("SeriesName", n) for n, s in enumerate(sets)] == positions
    for position, image_set in enumerate(sets):
        assert list(image_set.channels) == ["GFP", "DAPI"]
        assert np.array_equal(pixels(image_set), STACK[0, position, :2])
    assert caplog.text == ""
    # a file that was taken out of its folder has pages alone
    shutil.copy(folder / "acq_NDTiffStack.tif", tmp_path / "alone.tif")
    (image_set,) = find_image_sets(tmp_path / "alone.tif", selection=PlaneSelection(pages="channels"))
    assert np.array_equal(pixels(image_set), STACK[0, :3, :2].reshape(6, 20, 30))
