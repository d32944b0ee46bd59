"""Correct features: normalize them, whiten them on control wells.

May import: tables, evaluation, storage, errors.
"""
