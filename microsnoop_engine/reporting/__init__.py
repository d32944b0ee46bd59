"""Write the HTML report of a screen.

May import: sphering, modes, tables, images, evaluation, storage, errors.
"""
