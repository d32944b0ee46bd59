"""The vision transformer: positions of its patches."""

import torch

from microsnoop_engine.model.vit import positions


def test_positions_tell_rows_from_columns_at_any_size():
    large, small = positions(5, 7, 32, torch.device("cpu")).view(5, 7, 32), positions(3, 2, 32, torch.device("cpu"))
    torch.testing.assert_close(large[:3, :2].reshape(6, 32), small)
    assert len(torch.unique(large.reshape(35, 32), dim=0)) == 35
