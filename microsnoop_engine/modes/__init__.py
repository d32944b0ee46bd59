"""Turn one image into rows of features: regions, crops, normalization, batches.

May import: model, images, errors.
"""
