"""Run a network with PyTorch or OpenVINO.

May import: the other modules of model, errors.
"""
