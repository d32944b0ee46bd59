"""Crops, embeddings and a profile in Python: python examples/quickstart.py"""

import numpy as np

from microsnoop_engine import CropSettings, Embedder, measure
from microsnoop_engine.images.synthetic import CHANNELS, render_field
from microsnoop_engine.segmentation.nuclei import segment_nuclei

image, _ = render_field("control", 0.0, np.random.default_rng(0))
labels = segment_nuclei(image[0])
print(f"a field of {image.shape[1]} x {image.shape[2]} pixels, channels {', '.join(CHANNELS)}, {labels.max()} nuclei")

embedder = Embedder("fast")
cells = measure(embedder, image, labels, CropSettings(mode="cells", rescale_constant=2.0))
dimension = embedder.card.dimension
print(f"one row per nucleus, {dimension} numbers per channel: {cells.features.shape}")
print(f"on {embedder.device}, {embedder.precision}")

dna = cells.features[:, :dimension]
similarity = dna @ dna.T
print(f"cosine similarity of the DNA stain between nuclei: {similarity.min():.3f} to {similarity.max():.3f}")

whole = measure(embedder, image, settings=CropSettings(mode="image"))
print(f"the whole image: {whole.features.shape}")
