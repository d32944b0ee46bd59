"""Join images and genes of the same cells.

May import: tables, evaluation, storage, errors.
"""
