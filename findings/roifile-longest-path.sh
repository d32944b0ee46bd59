#!/usr/bin/env bash
# Versions: roifile 2026.11.6; ImageJ 1.54p writes the ROIs (net.imagej:ij on Maven Central; needs mvn and a JDK of 11 or newer).
# Expected: `coordinates()` of a cell with a hole is its outline, or everything, or an error.
# Seen: it is ONE path, the one with the most points. A square cell with a round vacuole gives the vacuole; a round cell
#       with a square hole gives the cell; two equal squares give the inner one, since it comes first. `multi=True` has
#       all paths. ImageJ counts the pixels of the ring in each case.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v roifile==2026.11.6 numpy==2.5.5
mvn -B -q dependency:copy -Dartifact=net.imagej:ij:1.54p -DoutputDirectory="$T"
cd "$T"; cat > Rings.java <<'JAVA'
import ij.IJ; import ij.gui.*; import ij.io.RoiEncoder;
public class Rings {
    static void write(String name, Roi cell, Roi hole) throws Exception {
        Roi ring = new ShapeRoi(cell).not(new ShapeRoi(hole));
        new RoiEncoder(name + ".roi").write(ring);
        System.out.println("ImageJ: " + name + " " + ring.getStatistics().pixelCount + " pixels");
    }
    public static void main(String[] none) throws Exception {
        System.out.println("version: ImageJ " + IJ.getVersion());
        write("square-in-square", new Roi(10, 10, 40, 40), new Roi(20, 20, 10, 10));
        write("square-in-round", new OvalRoi(10, 10, 40, 40), new Roi(20, 20, 10, 10));
        write("round-in-square", new Roi(10, 10, 40, 40), new OvalRoi(20, 20, 10, 10));
    }
}
JAVA
java -Djava.awt.headless=true -cp ij-1.54p.jar Rings.java
v/bin/python - <<'PY'
import numpy as np
import roifile

print("version: roifile", roifile.__version__, "\nexpected: a width of 40 (the cell) for every ring")
seen = {}
for name in ("square-in-square", "square-in-round", "round-in-square"):
    roi = roifile.ImagejRoi.fromfile(f"{name}.roi")
    paths = [len(path) for path in roi.coordinates(multi=True)]
    seen[name] = float(np.ptp(roi.coordinates()[:, 0]))
    print("seen:", name, "width of coordinates():", seen[name], "| points of its paths:", paths)
assert seen == {"square-in-square": 10, "square-in-round": 40, "round-in-square": 10}
PY
