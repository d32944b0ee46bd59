"""Segment a plane into labels.

A segmenter is a function from a plane (h, w) to labels (h, w), int32; `segmenter` chooses one by its name.

May import: errors.
"""
