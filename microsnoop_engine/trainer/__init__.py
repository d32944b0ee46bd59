"""Train weights on images.

May import: model, images, storage, errors.
"""
