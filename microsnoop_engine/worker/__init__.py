"""Serve measurements to a host program (CellProfiler, ImageJ) from one warm process.

May import: modes, model, images, tables, evaluation, storage, errors.
"""
