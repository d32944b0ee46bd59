"""Train weights on images.

May import: model, images, evaluation, storage, errors.
"""
