"""Serve measurements to a host program (CellProfiler, ImageJ) from one warm process.

May import: classification, modes, model, images, tables, evaluation, storage, errors.
"""
