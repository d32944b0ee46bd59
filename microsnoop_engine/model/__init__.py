"""Turn crops into embeddings: networks, weights and devices.

May import: storage, errors.
"""
