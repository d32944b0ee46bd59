"""Turn one image into rows of features: regions, crops, normalization.

May import: model, images, errors."""
