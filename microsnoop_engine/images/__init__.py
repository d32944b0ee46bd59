"""Find image sets in the user's files, and read their planes and labels.

A reader of an input is one module with one function that returns a list of ImageSet (`load_data`, `folders`, `npz`,
`ome_zarr`); `inputs` chooses among them. A reader of a file format is one module with `open_file` (`tiff_files`,
`picture_files`, `czi_files`, `lif_files`, `nd2_files`, `bioio_files`); `formats` chooses by the suffix.

May import: storage, errors.
"""
