"""Read, aggregate, join and write tables of any program.

May import: evaluation, storage, errors.
"""
