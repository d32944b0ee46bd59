"""Classify cells from labeled examples, and explain differences between groups of them.

May import: reporting, modes, tables, images, evaluation, storage, errors.
"""
