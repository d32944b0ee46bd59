"""CellProfiler modules of microsnoop; copy the folder's files into CellProfiler's plugins folder."""
