"""Write the files of instruments, with the names and index files that they have."""

from xml.sax.saxutils import escape

from image_files import touch

HARMONY = "http://www.perkinelmer.com/PEHH/HarmonyV5"
YOKOGAWA = "http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"
GUID = "D5F8F51A-3E85-4358-AE51-A465AF87386F"


def phenix_index(path, images, channels, plate="BR00121482", per_channel=False, pixel_meters="5.979E-07"):
    """An index of Harmony 5 (channels described in every image) or 7 (once per channel)."""

    def described(channel):
        name = f"<ChannelName>{escape(channels[channel])}</ChannelName>"
        return f"{name}<ImageResolutionX Unit='m'>{pixel_meters}</ImageResolutionX>"

    entries = "".join(
        f"<Entry ChannelID='{channel}'>{described(channel) if per_channel else '<FlatfieldProfile/>'}</Entry>"
        for channel in channels
    )
    records = "".join(
        f"<Image Version='1'><id>x</id><State>Ok</State><URL>{url}</URL><Row>{row}</Row><Col>{column}</Col>"
        f"<FieldID>{field}</FieldID><PlaneID>{plane}</PlaneID><TimepointID>0</TimepointID>"
        f"<ChannelID>{channel}</ChannelID>{'' if per_channel else described(channel)}</Image>"
        for url, row, column, field, plane, channel in images
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<?xml version='1.0' encoding='utf-8'?><EvaluationInputData Version='1' xmlns='{HARMONY}'>"
        f"<Plates><Plate><PlateID>{plate}</PlateID><Name>{plate}</Name><Well id='0101'/></Plate></Plates>"
        "<Wells><Well><id>0101</id><Row>1</Row><Col>1</Col><Image id='0101K1F1P1R1'/></Well></Wells>"
        f"<Maps><Map>{entries}</Map></Maps><Images>{records}</Images></EvaluationInputData>",
        encoding="utf-8",
    )


def phenix_name(row, column, field, plane, channel, time=1):
    return f"r{row:02d}c{column:02d}f{field:02d}p{plane:02d}-ch{channel}sk{time}fk1fl1.tiff"


def metaxpress_htd(path, waves):
    names = "".join(f'"WaveName{n}", "{name}"\n' for n, name in enumerate(waves, start=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'"HTSInfoFile", Version 1.0\n"Description", "à"\n"NWavelengths", {len(waves)}\n{names}"EndFile"\n',
        encoding="latin-1",
    )


def cellvoyager_index(folder, records, channels, plate="AssayPlate1"):
    """The .mlf, .mrf and .mes files; `records` are (type, row, column, time, field, plane, channel, file)."""
    folder.mkdir(parents=True, exist_ok=True)
    attributes = ["Type", "Row", "Column", "TimePoint", "FieldIndex", "ZIndex", "Ch"]
    rows = "".join(
        "<bts:MeasurementRecord "
        + " ".join(f'bts:{name}="{value}"' for name, value in zip(attributes, record, strict=False))
        + f">{record[-1]}</bts:MeasurementRecord>"
        for record in records
    )
    (folder / "MeasurementData.mlf").write_text(
        f'<bts:MeasurementData xmlns:bts="{YOKOGAWA}">{rows}</bts:MeasurementData>'
    )
    sizes = "".join(f'<bts:MeasurementChannel bts:Ch="{n}" bts:HorizontalPixelDimension="0.325"/>' for n in channels)
    (folder / "MeasurementDetail.mrf").write_text(
        f'<bts:MeasurementDetail bts:MeasurementSettingFileName="a.mes" xmlns:bts="{YOKOGAWA}">'
        f'<bts:MeasurementSamplePlate bts:Name="{plate}"/>{sizes}</bts:MeasurementDetail>'
    )
    named = "".join(
        f'<bts:Channel bts:Ch="{n}" bts:Target="{name}" bts:Fluorophore=""/>' for n, name in channels.items()
    )
    (folder / "a.mes").write_text(
        f'<bts:MeasurementSetting xmlns:bts="{YOKOGAWA}"><bts:ChannelList>{named}</bts:ChannelList>'
        "</bts:MeasurementSetting>"
    )


def write_images(folder, *names):
    touch(folder, *names)
    return folder
