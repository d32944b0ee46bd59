"""Run the measurements of a job in this process, in several processes or on a Ray cluster.

May import: the other modules of distributor, and all that distributor may import."""
