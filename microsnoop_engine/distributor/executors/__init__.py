"""Measure the image sets of a job in this process, in several processes or on a Ray cluster.

May import: assembly, job and reading of the distributor, and all that the distributor may import.
"""
