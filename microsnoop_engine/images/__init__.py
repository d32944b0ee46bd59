"""Turn files into image sets, planes and labels.

May import: storage, errors."""
