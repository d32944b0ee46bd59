"""Correct batch effects by whitening features on control wells.

May import: tables, evaluation, storage, errors.
"""
