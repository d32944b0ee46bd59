"""Score how well features separate labels, replicates and doses.

May import: errors.
"""
