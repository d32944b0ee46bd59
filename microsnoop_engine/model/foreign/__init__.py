"""Take networks that other programs trained: timm, DINO, bioimage.io.

May import: the other modules of model, storage, errors.
"""
