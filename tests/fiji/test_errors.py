"""What goes wrong in a macro ends it with a reason in the log, and never waits for a user."""

import pytest
from imagej_host import engine_stub
from waiting import wait_for

from microsnoop_engine import __version__

MEASURE = 'run("Measure Microsnoop Features", "{options}");\nFile.saveString("went on", "{out}/went-on.txt");\n'
OPEN = 'open("{folder}/field.tif");\n'
LINE = "makeLine(5, 5, 90, 90);\n"
OTHER = 'newImage("other", "8-bit black", {size}, {size}, 1);\n'
TWO_SLICES = (
    'newImage("deep", "8-bit noise", 64, 64, 2);\n'
    'makeRectangle(9, 9, 30, 30);\nRoi.setPosition(1);\nroiManager("add");\nsetSlice(2);\n'
)

ERRORS = {
    "no image": ("", "", "There is no image open. Open one with File > Open"),
    "empty ROI Manager": (OPEN, "objects=[ROI Manager]", "The ROI Manager is empty. Draw an outline and press t"),
    "no options": (OPEN, "", "The ROI Manager is empty"),
    "no overlay": (OPEN, "objects=Overlay", 'The image "field.tif" has no overlay'),
    "no selection": (OPEN, "objects=[Active selection]", 'There is no selection in "field.tif". Draw one'),
    "a line": (OPEN + LINE, "objects=[Active selection]", '"selection" (Straight Line) has no area. Draw outlines'),
    "no label image": (OPEN, "objects=[Label image]", "There is no other open image of the size"),
    "label image not open": (
        OPEN,
        "objects=[Label image] labels=[my labels]",
        'no open image with the title "my labels"',
    ),
    "label image of another size": (
        OTHER.format(size=64) + OPEN,
        "objects=[Label image] labels=other",
        'The label image "other" is 64 x 64 pixels, but "field.tif" is 256 x 256',
    ),
    "empty label image": (OTHER.format(size=256) + OPEN, "objects=[Label image]", 'label image "other" is empty'),
    "black-and-white mask": (
        OTHER.format(size=256) + "makeOval(9, 9, 50, 50); setColor(255); fill(); run('Select None');\n" + OPEN,
        "objects=[Label image]",
        '"other" is a black-and-white mask, not a label image: all objects have the same number. Run Analyze',
    ),
    "label image of several channels": (
        'newImage("two", "16-bit color-mode", 64, 64, 2, 1, 1);\nnewImage("gray", "8-bit ramp", 64, 64, 1);\n',
        "objects=[Label image] labels=two",
        'The label image "two" has 2 channels, 1 slices and 1 frames, but "gray" has 1 slices and 1 frames. Give one',
    ),
    "label image of fewer slices": (
        'newImage("few", "16-bit black", 64, 64, 2);\nnewImage("deep", "8-bit ramp", 64, 64, 3);\n',
        "objects=[Label image] labels=few",
        'The label image "few" has 1 channels, 2 slices and 1 frames, but "deep" has 3 slices and 1 frames.',
    ),
    "ROIs of another slice": (TWO_SLICES, "objects=[ROI Manager]", "None of the ROIs (1) belongs to the slice"),
    "unknown channel": (
        OPEN,
        "objects=[Whole image] channels=DNA,GFP",
        'no channel "GFP". The channels are: DNA, ER, Actin',
    ),
    "rows of a color image taken for channels": (
        'newImage("rows", "8-bit ramp", 3, 40, 20, 1, 1);\n',
        "objects=[Whole image]",
        'The image "rows" has 20 channels. Are they slices or colors? Image > Properties says which is which.',
    ),
    "channel twice": (OPEN, "objects=[Whole image] channels=1,DNA", 'channel "DNA" is named twice'),
    "misspelt option": (OPEN, "object=[Whole image]", 'There is no option "object"; there are objects, labels'),
    "misspelt objects": (OPEN, "objects=[Whole]", 'objects is "Whole": give one of ROI Manager, Overlay'),
    "mode of other objects": (OPEN, "objects=[Whole image] mode=box", 'mode is "box": give one of tile, rescale.'),
    "bad rescale constant": (OPEN, "rescale_constant=50", 'rescale_constant is "50": give a number from 0.1 to 20.'),
    "forgotten brackets": (OPEN, "objects=Whole image", "Values with spaces need brackets"),
    "bad file": (OPEN, "objects=[Whole image] csv=[{out}/a.xlsx]", "must end in .csv or .parquet: add the ending"),
    "no folder": (OPEN, "objects=[Whole image] csv=[{out}/nowhere/a.csv]", "there is no folder"),
    "one cluster": (OPEN, "objects=[Whole image] cluster=1", "One cluster is none: give cluster=2"),
    "more clusters than rows": (
        OPEN,
        "objects=[Whole image] cluster=3",
        "3 clusters cannot be made of 1 row with all features: clusters must be 2 up to the number of rows.",
    ),
    "overlay of no clusters": (OPEN, "objects=[Whole image] overlay", "give their number too, for example cluster=3"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_ends_the_macro_and_says_what_to_do(batch, field, tmp_path, case):
    before, options, message = ERRORS[case]
    text = (before + MEASURE.replace("{options}", options)).format(folder=field[0].parent, out=tmp_path)
    done = batch(text)
    assert (done.stdout + done.stderr).count(message) == 1
    assert not (tmp_path / "went-on.txt").exists()


WHOLE = OPEN + MEASURE.replace("{options}", "objects=[Whole image]")


def log_of(batch, field, tmp_path, python):
    done = batch(WHOLE.format(folder=field[0].parent, out=tmp_path), MICROSNOOP_PYTHON=str(python))
    assert not (tmp_path / "went-on.txt").exists()
    return done.stdout


def test_a_missing_engine(batch, field, tmp_path):
    said = log_of(batch, field, tmp_path, "/nowhere/python")
    assert 'the environment variable MICROSNOOP_PYTHON says "/nowhere/python"' in said
    assert '"pip install ."' in said
    assert '"microsnoop install fiji"' in said


def test_a_python_without_the_engine(batch, field, tmp_path):
    said = log_of(batch, field, tmp_path, "/usr/bin/python3")
    assert "No module named microsnoop_engine" in said
    assert "stopped during info (exit code 1)" in said
    assert '"pip install ."' in said


def test_where_the_engine_was_looked_for(home, batch, field, tmp_path):
    record = home / "ImageJ" / "plugins" / "microsnoop-engine.txt"
    engine = record.read_text()
    record.unlink()
    try:
        said = log_of(batch, field, tmp_path, "")
    finally:
        record.write_text(engine)
    assert 'Looked for it in: the setting "Engine" (blank)' in said
    assert str(record) in said
    assert '"microsnoop" on the PATH' in said
    assert str(home / "miniforge3" / "envs" / "microsnoop") in said


def test_an_engine_of_another_protocol(batch, field, tmp_path):
    stub = engine_stub(
        tmp_path,
        "import json, sys\n"
        "task = json.loads(sys.stdin.readline())['task']\n"
        "outputs = {'version': '9.0', 'protocol': 99, 'folder': '/tmp/none'}\n"
        "print(json.dumps({'task': task, 'responseType': 'COMPLETION', 'outputs': outputs}), flush=True)\n"
        "sys.stdin.read()",
    )
    said = log_of(batch, field, tmp_path, stub)
    assert "engine 9.0 speaks another protocol (99) than this plugin (1)" in said
    assert '"pip install .", then "microsnoop install fiji", then restart ImageJ' in said


def test_an_engine_that_dies_says_its_last_words(batch, field, tmp_path):
    stub = engine_stub(tmp_path, "import sys\nsys.exit('out of memory, says the kernel')")
    said = log_of(batch, field, tmp_path, stub)
    assert "Its last lines:\nout of memory, says the kernel" in said


def test_wrong_weights_and_what_the_engine_says_of_them(batch, field, tmp_path):
    text = 'run("Microsnoop Settings", "weights={weights} test");\nFile.saveString("went on", "{out}/went-on.txt");'
    done = batch(text.format(weights="no-such-weights", out=tmp_path))
    assert "no-such-weights" in done.stdout
    assert not (tmp_path / "went-on.txt").exists()
    # the last ones are kept in the preferences of the tests' ImageJ
    for name in ("base", "fast"):
        done = batch(text.format(weights=name, out=tmp_path))
        assert f"The engine works: microsnoop {__version__}, weights microsnoop-{name} (sha256" in done.stdout
    assert (tmp_path / "went-on.txt").exists()


@pytest.mark.parametrize("command", ["Measure Microsnoop Features", "Microsnoop Embedding Map", "Microsnoop Settings"])
def test_an_error_ends_a_macro_of_the_script_editor(java, ij, tmp_path, command):
    """The script editor, a macro that is dropped on ImageJ, and PyImageJ's run_macro use a MacroRunner."""
    path = tmp_path / "went-on.txt"
    ij.createImage("drawn", "8-bit ramp", 64, 64, 1).show()
    java.jimport("ij.macro.MacroRunner")(
        f'run("{command}", "no_such_option=1");\nFile.saveString("went on", "{path}");'
    )
    wait_for(lambda: 'There is no option "no_such_option"' in str(ij.getLog()))
    wait_for(lambda: not macros(java))
    assert not path.exists()
    ij.runMacro('print("\\\\Clear");')


def macros(java):
    """Threads of macros that have not ended."""
    threads = java.jimport("java.lang.Thread").getAllStackTraces().keySet()
    return [str(thread) for thread in threads if str(thread.getName()).endswith("Macro$")]


def test_a_macro_of_the_script_editor_goes_on_where_nothing_is_wrong(java, ij, tmp_path):
    path = tmp_path / "went-on.txt"
    java.jimport("ij.macro.MacroRunner")(
        f'run("Microsnoop Settings", "device=auto");\nFile.saveString("went on", "{path}");'
    )
    wait_for(path.exists)
