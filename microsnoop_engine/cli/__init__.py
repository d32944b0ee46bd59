"""Parse the commands of the microsnoop program, show their progress and print their results.

May import: every other folder.
"""
