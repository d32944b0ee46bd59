"""Read plates as microscopes write them: one reader per layout of names and index files.

A reader is one module with the functions of :class:`.layout.Layout`. `layouts` lists them and finds the one that a
folder has; `planes` turns what a reader finds into image sets.

Every reader is written from the public descriptions of the layout and from files that are publicly available.

May import: the other modules of images, storage, errors.
"""
