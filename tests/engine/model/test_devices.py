"""Devices: parts that fit into memory, and one process at a time on each GPU."""

import numpy as np
import pytest
import torch

from microsnoop_engine.errors import DeviceError
from microsnoop_engine.model.devices import device_lock, halving


class Memory:
    """A network that runs out of memory above a number of crops, which may change from call to call."""

    def __init__(self, *capacities, error=None):
        self.capacities, self.error = list(capacities), error or RuntimeError("CUDA out of memory. Tried to allocate")
        self.sizes = []

    def __call__(self, crops):
        capacity = self.capacities.pop(0) if len(self.capacities) > 1 else self.capacities[0]
        if len(crops) > capacity:
            raise self.error
        self.sizes.append(len(crops))
        return crops[:, 0, 0, :1] * 2


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13, 32])
@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 31, 32])
def test_halving(count, capacity):
    crops = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
    memory = Memory(capacity)
    result, largest = halving(memory, crops)
    assert np.array_equal(result[:, 0], np.arange(count) * 2)
    assert largest == max(memory.sizes) <= max(capacity, 1)
    assert 2 * largest >= min(count, capacity)


@pytest.mark.parametrize("seed", range(20))
def test_halving_while_others_take_memory(seed):
    capacities = np.sort(np.random.default_rng(seed).integers(1, 16, 12))[::-1]
    result, largest = halving(Memory(*capacities.tolist(), 1), np.arange(29.0).reshape(-1, 1, 1, 1))
    assert np.array_equal(result[:, 0], np.arange(29) * 2)
    assert 1 <= largest <= 29


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("no"), RuntimeError("std::bad_alloc")])
def test_halving_gives_up_at_one_crop(error):
    with pytest.raises(DeviceError, match="the device's memory is too small for a single crop"):
        halving(Memory(0, error=error), np.zeros((4, 1, 1, 1)))


def test_halving_lets_other_errors_through():
    with pytest.raises(RuntimeError, match="illegal address"):
        halving(Memory(0, error=RuntimeError("illegal address")), np.zeros((4, 1, 1, 1)))


def test_halving_with_memory_that_really_runs_out():
    """Three crops need more than the address space, so that PyTorch's allocator itself fails."""

    def embed(crops):
        if len(crops) > 2:
            torch.empty(len(crops) << 46, dtype=torch.float32)
        return crops

    crops = np.arange(7.0)
    result, largest = halving(embed, crops)
    assert np.array_equal(result, crops)
    assert largest <= 2


def test_a_lock_for_each_device(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    names = [device_lock(device).lock_file for device in ("cuda", "cuda:0", "cuda:1", "mps")]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert [device_lock(device).lock_file for device in ("cuda", "cuda:0", "cuda:1")] == [names[2], names[2], names[0]]
