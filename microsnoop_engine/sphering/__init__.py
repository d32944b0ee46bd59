"""Correct features: normalize them, whiten them on control wells, mix batches; compare corrections.

May import: tables, evaluation, storage, errors.
"""
