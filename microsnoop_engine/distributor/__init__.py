"""Measure many image sets into one results folder.

May import: modes, segmentation, images, model, tables, storage, errors.
"""
