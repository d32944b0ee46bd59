"""Read and write tables of any program, in chunks.

May import: evaluation, storage, errors."""
