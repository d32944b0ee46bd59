"""Segment a plane into labels.

May import: errors."""
