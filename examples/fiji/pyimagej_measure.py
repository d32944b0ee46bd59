"""Measure the nuclei of an image in a Python that drives ImageJ, and show rows and clusters in ImageJ.

    python examples/fiji/pyimagej_measure.py cells.tif [ij.jar]

With PyImageJ installed (pip install pyimagej), and without a second argument, Fiji is started by `imagej.init()`, which
downloads it at the first time. With the path of an ij.jar (of Fiji's folder `jars`, or Debian's /usr/share/java/ij.jar)
nothing is downloaded. Both need pip install "microsnoop[fiji]" and a Java.
"""

import os
import sys

import jpype.config
import scyjava
from sklearn.cluster import KMeans

from fiji_bridge import measure, show


def start_imagej(ij_jar=None):
    """A gateway to ImageJ: PyImageJ's, or None for original ImageJ alone."""
    # ImageJ's threads outlive their work; without this line, Python waits for them and does not end
    jpype.config.destroy_jvm = False
    if ij_jar is None:
        import imagej

        return imagej.init(mode="headless")
    scyjava.config.set_java_constraints(fetch="never")
    scyjava.config.endpoints.clear()
    scyjava.config.add_classpath(ij_jar)
    scyjava.config.add_option("-Djava.awt.headless=true")
    scyjava.start_jvm()
    return None


def find_nuclei(imp):
    """Outlines of bright objects in the first channel, by ImageJ's own threshold and wand."""
    plane = scyjava.jimport("ij.ImagePlus")("nuclei", imp.getStack().getProcessor(1).duplicate())
    processor = plane.getProcessor()
    processor.blurGaussian(2)
    method = scyjava.jimport("ij.process.AutoThresholder$Method").Otsu
    processor.setAutoThreshold(method, True)
    selection = scyjava.jimport("ij.plugin.filter.ThresholdToSelection")().convert(processor)
    parts = selection.getRois() if hasattr(selection, "getRois") else [selection]
    return [roi for roi in parts if roi.getStatistics().pixelCount >= 40]


def main(path, ij_jar=None):
    """Measure, cluster, show."""
    ij = start_imagej(ij_jar)
    imp = scyjava.jimport("ij.IJ").openImage(path)
    nuclei = find_nuclei(imp)
    frame = measure(ij, imp, nuclei)
    features = frame.filter(like="Microsnoop_E")
    frame["cluster"] = KMeans(min(3, len(frame)), n_init=10, random_state=0).fit_predict(features) + 1
    show(ij, frame, imp=imp, rois=nuclei, color="cluster")
    print(frame[["Label", "ObjectNumber", "Center_X", "Center_Y", "cluster"]].to_string(index=False))
    print(f"{len(frame)} nuclei x {features.shape[1]} features, weights {frame.attrs['microsnoop']['weights']}")
    return frame


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    # at once: a thread of Java that calls Python while it ends would abort it
    os._exit(0)
