"""The built plugin that is part of the package belongs to the sources beside it."""

import zipfile

from imagej_host import REPOSITORY

JAR = REPOSITORY / "fiji_bridge" / "Microsnoop_.jar"
JAVA = REPOSITORY / "fiji_bridge" / "java"


def contents(path):
    with zipfile.ZipFile(path) as jar:
        return {name: jar.read(name) for name in jar.namelist()}


def test_the_packaged_plugin_is_built_from_these_sources(jar):
    packaged, built = contents(JAR), contents(jar)
    assert packaged.keys() == built.keys(), "run 'make fiji' and commit the jar"
    sources = {path.relative_to(JAVA).as_posix(): path.read_bytes() for path in JAVA.rglob("*.java")}
    assert sources
    for name, data in sources.items():
        assert packaged[f"src/{name}"] == data, f"{name} has changed: run 'make fiji' and commit the jar"
    macro = REPOSITORY / "examples" / "fiji" / "measure_folder.ijm"
    assert packaged[macro.name] == macro.read_bytes(), "the macro has changed: run 'make fiji' and commit the jar"
    assert packaged["plugins.config"] == (JAVA / "plugins.config").read_bytes()
    manifest = "META-INF/MANIFEST.MF"
    if packaged[manifest].split()[-2:] == built[manifest].split()[-2:]:
        assert packaged == built, "the classes are not those of the sources: run 'make fiji' and commit the jar"


def test_the_plugin_runs_on_java_8_and_needs_nothing_but_imagej():
    classes = {name: data for name, data in contents(JAR).items() if name.endswith(".class")}
    assert all(name.startswith("microsnoop/") for name in classes)
    assert {int.from_bytes(data[6:8], "big") for data in classes.values()} == {52}
