"""Measure the objects of a labels layer in napari.

May import: microsnoop_engine.
"""
