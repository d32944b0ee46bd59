#!/usr/bin/env bash
# Versions: ImageJ 1.54p (net.imagej:ij on Maven Central; needs mvn and a JDK of 11 or newer), tifffile 2026.11.8.
# Expected: a label TIFF of signed 16-bit numbers 0, 1, 2 has the pixels 0, 1, 2 in ImageJ.
# Seen: ImageJ has no signed image. It adds 32768 and keeps a calibration function that takes it off again: what a user
#       sees and `getPixelValue` are right, `getf`, `get` and the raw array are 32768, 32769, 32770, so a plugin finds an
#       object where the background is. An image of unsigned 32 bits becomes float: 16777217 turns into 16777216.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment v tifffile==2026.11.8 numpy==2.5.5
mvn -B -q dependency:copy -Dartifact=net.imagej:ij:1.54p -DoutputDirectory="$T"
cd "$T"; v/bin/python - <<'PY'
import numpy as np
import tifffile

for kind, numbers in {"uint16": [0, 1, 2], "int16": [0, 1, 2], "uint32": [0, 16777216, 16777217]}.items():
    tifffile.imwrite(f"{kind}.tif", np.array([numbers] * 3, kind))
PY
cat > Pixels.java <<'JAVA'
import ij.*; import ij.process.*;
public class Pixels {
    public static void main(String[] kinds) {
        System.out.println("version: ImageJ " + IJ.getVersion() + "\nexpected: getf and getPixelValue both give the file's numbers");
        for (String kind : kinds) {
            ImageProcessor ip = IJ.openImage(kind + ".tif").getProcessor();
            String raw = "", value = "";
            for (int x = 0; x < 3; x++) { raw += " " + (long) ip.getf(x, 0); value += " " + (long) ip.getPixelValue(x, 0); }
            System.out.println("seen: " + kind + " getf" + raw + " getPixelValue" + value);
        }
    }
}
JAVA
java -Djava.awt.headless=true -cp ij-1.54p.jar Pixels.java uint16 int16 uint32 | tee seen
grep -qx "seen: uint16 getf 0 1 2 getPixelValue 0 1 2" seen
grep -qx "seen: int16 getf 32768 32769 32770 getPixelValue 0 1 2" seen
grep -qx "seen: uint32 getf 0 16777216 16777216 getPixelValue 0 16777216 16777216" seen
