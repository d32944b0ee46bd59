"""Say where the data of the benchmarks come from, and check a folder that holds them.

    python benchmarks/get_data.py
    python benchmarks/get_data.py --check FOLDER

Nothing is downloaded: the benchmarks read sets that this project prepared (cut, turned to gray, sampled), which have no
public address. Each set's page offers the original. Benchmarks read ``shared/data`` beside the repository, or the
folder that the environment variable MICROSNOOP_DATA names.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

DATA = Path(os.environ.get("MICROSNOOP_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
"""Folder that all benchmarks read."""


@dataclass(frozen=True)
class File:
    """A prepared file.

    Attributes
    ----------
    path : str
        Inside the folder of the data, with slashes.
    size : int
        Bytes.
    sha256 : str
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A set of the benchmarks.

    Attributes
    ----------
    shows : str
    source : str
        The original's name and citation.
    pages : tuple of str
        Web pages that offer the original; empty where none is known.
    terms : str
        License or terms of use of the original.
    prepared : str
        The steps from the original to our files.
    files : tuple of File
    """

    shows: str
    source: str
    pages: tuple[str, ...]
    terms: str
    prepared: str
    files: tuple[File, ...]


DATASETS = {
    "pool": Dataset(
        shows="training images of fluorescence, phase contrast, brightfield, tissue, histology and electron microscopy",
        source="public repositories and image collections, among them BBBC038, BBBC039, Chula RBC-12 and the Human "
        "Protein Atlas; pool/index.csv names repository, path and license of each of the 2,819 images",
        pages=("https://bbbc.broadinstitute.org", "https://www.proteinatlas.org"),
        terms="by image, in pool/index.csv; non-commercial sources were left out",
        prepared="one channel each, cut; above 8 bit rescaled from percentiles 0.1 and 99.9; written as WebP",
        files=(
            File("pool/index.csv", 903977, "e8710ea082af54635cb019a3703498a1b4621d29145db4d9e4576ad942055144"),
            File("pool/images-a.zip", 57835534, "652af24736ffa8c49c941d5b039ef5c3912594626859ceb0c887e1e527f76c07"),
            File("pool/images-b.zip", 55474280, "ce8345f477f2ede5bd7fd02a173db68fd4ddd32895caebdc8c03ac7c01d0b7e5"),
        ),
    ),
    "mitocheck_phenotype": Dataset(
        shows="3,277 nuclei of HeLa cells, 16 phenotypes",
        source="MitoCheck, IDR study idr0013 (Neumann et al., Nature 464:721, 2010)",
        pages=(
            "https://idr.openmicroscopy.org/search/?query=Name:idr0013",
            "https://github.com/WayScience/mitocheck_data",
        ),
        terms="CC BY-NC-SA",
        prepared="labeled nuclei, 64 x 64 pixels, with plate, well and frame",
        files=(
            File(
                "eval/mitocheck_phenotype.npz",
                6370162,
                "bfc292b61d7db1b62c017752e643531f6595b5dd4db436f9c3f783cb95cb8c34",
            ),
        ),
    ),
    "yeast_protein": Dataset(
        shows="1,642 budding yeast cells, GFP and RFP, 5 tagged proteins (AAC1, AAC3, AAH1, AAP1, AAR2)",
        source="an academic collection whose name was not recorded",
        pages=(),
        terms="academic use",
        prepared="cells, 64 x 64 pixels, 16 bit, with their field",
        files=(
            File(
                "eval/yeast_protein.npz", 11320685, "5e21ae4384ba1a53f614ee99268f1c8f38fc92ebcbff3434eb8335fe55f3ae04"
            ),
        ),
    ),
    "wbc_multibatch": Dataset(
        shows="874 white blood cells, color, 5 types, 4 laboratories",
        source="BCCD; the Jiangxi and CellaVision sets of Zheng et al. (Micron 107:55, 2018); a set of 149 leukocytes "
        "whose page was not recorded",
        pages=("https://github.com/Shenggan/BCCD_Dataset", "https://github.com/zxaoyou/segmentation_WBC"),
        terms="mixed: MIT (BCCD), a GPL-3 repository (Jiangxi, CellaVision); not recorded for the 149 leukocytes",
        prepared="cells, 128 x 128 pixels, with their laboratory",
        files=(
            File(
                "eval/wbc_multibatch.npz", 26065649, "9fc4cbd1cd7b2ce875566804944abad0d068130248f07dacb8c070b1ed4bc942"
            ),
        ),
    ),
    "cric_papsmear": Dataset(
        shows="2,120 crops of Pap smears, 6 Bethesda classes",
        source="CRIC Cervix Cell Classification (Rezende et al., Scientific Data 8:151, 2021)",
        pages=("https://database.cric.com.br", "https://doi.org/10.6084/m9.figshare.c.4960286"),
        terms="CC BY 4.0",
        prepared="gray, 100 x 100 pixels",
        files=(
            File(
                "eval/cric_papsmear.npz", 12045324, "68e75b4994a90eaf62cde2dc874a4625c7f5c065b3504814f8e954a9ef1cf0d2"
            ),
        ),
    ),
    "chula_rbc12": Dataset(
        shows="2,000 red blood cells, 13 types",
        source="Chula RBC-12-Dataset, Chula PIC Lab",
        pages=("https://github.com/Chula-PIC-Lab/Chula-RBC-12-Dataset",),
        terms="MIT",
        prepared="gray, 72 x 72 pixels around the labeled points, with their field",
        files=(
            File("eval/chula_rbc12.npz", 5472359, "825e15d7e0674f9c50bad3baf83cf5c39b40d1a791d13f370d34a3eb261304b8"),
        ),
    ),
    "hepg2_huh7_nuclei": Dataset(
        shows="1,857 nuclei (Hoechst), 2 cell lines",
        source="cell lines HepG2 and Huh7 of the group of C. Gunduz-Demir (cite Koyuncu et al., 2016)",
        pages=("https://mysite.ku.edu.tr/cgunduz/downloads/nucleussegdata/",),
        terms="for research; cite the authors",
        prepared="nuclei, 64 x 64 pixels, with their field",
        files=(
            File(
                "eval/hepg2_huh7_nuclei.npz",
                4056784,
                "880c1bcfb79a7d73c759f6604f8b9e2cd87f4eefaf2a2f304dce08a686e391fb",
            ),
        ),
    ),
    "bbbc013_translocation": Dataset(
        shows="a 96-well plate of U2OS cells, FKHR-GFP and DNA, 2 compounds in 9 doses",
        source="BBBC013v1, provided by Ilya Ravkin, Broad Bioimage Benchmark Collection (Ljosa et al., Nature Methods "
        "9:637, 2012)",
        pages=("https://bbbc.broadinstitute.org/BBBC013",),
        terms="CC BY 3.0",
        prepared="the wells' images, 640 x 640 pixels, 8 bit, with the plate map",
        files=(
            File(
                "eval/bbbc013_translocation.npz",
                32088521,
                "098a8399fa043a92f5f4828625b905764c8b1d391858e195786023177b5bfa69",
            ),
        ),
    ),
    "mobilenet": Dataset(
        shows="weights of MobileNetV1 1.0/224 trained on ImageNet, the network that features are compared with",
        source="Keras Applications (Howard et al., arXiv 1704.04861, 2017)",
        pages=("https://keras.io/api/applications/mobilenet/",),
        terms="Apache-2.0",
        prepared="all tensors but those of conv_pw_13, by their Keras names",
        files=(
            File(
                "peers/mobilenet_v1_1.0_224_imagenet_partial.npz",
                12858890,
                "ea29f021308b1cacc15b2fb9e6c46c99bf200ce187deb6693a973be04b4b50ab",
            ),
            File("peers/model.json", 54214, "a4704cbfa5ca688eaf1fd24bf34bebebb9f4d1c20fac91236b208750c5006714"),
        ),
    ),
}


def main() -> None:
    """Print the list of data sets, or check a folder (exit status 1 if a file is missing or differs)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=Path, nargs="?", const=DATA, metavar="FOLDER", help=f"default: {DATA}")
    options = parser.parse_args()
    if options.check is None:
        print("\n\n".join(describe(name, dataset) for name, dataset in DATASETS.items()))
        print("\nNone of the files above has a public address. Put those that you have at their path inside a folder,")
        print("name it in MICROSNOOP_DATA, and check it: python benchmarks/get_data.py --check FOLDER")
        return
    files = [file for dataset in DATASETS.values() for file in dataset.files]
    states = {file.path: check(options.check, file) for file in files}
    for path, state in states.items():
        print(f"{path}: {state}")
    good = sum(state == "ok" for state in states.values())
    print(f"{good} of {len(states)} files in {options.check} are as they should be")
    if good < len(states):
        raise SystemExit(1)


def describe(name: str, dataset: Dataset) -> str:
    """Describe a data set for the terminal.

    Returns
    -------
    str
        Several lines.
    """
    lines = [
        f"{name}: {dataset.shows}",
        f"  source    {dataset.source}",
        f"  page      {', '.join(dataset.pages) or 'none known'}",
        f"  terms     {dataset.terms}",
        f"  prepared  {dataset.prepared}",
    ]
    return "\n".join(lines + [f"  file      {f.path}, {f.size:,} bytes, sha256 {f.sha256}" for f in dataset.files])


def check(folder: Path, file: File) -> str:
    """Compare a file of a folder with the one that the benchmarks were run on.

    Returns
    -------
    str
        'ok', 'missing', or how it differs.
    """
    path = folder / file.path
    if not path.is_file():
        return "missing"
    if path.stat().st_size != file.size:
        return f"differs: {path.stat().st_size:,} bytes instead of {file.size:,}"
    with path.open("rb") as stream:
        found = hashlib.sha256()
        while block := stream.read(1 << 20):
            found.update(block)
    return "ok" if found.hexdigest() == file.sha256 else f"differs: sha256 {found.hexdigest()} instead of {file.sha256}"


if __name__ == "__main__":
    main()
