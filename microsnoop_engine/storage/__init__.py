"""Read and write files whole or not at all, on disks and in object stores.

May import: errors.
"""
