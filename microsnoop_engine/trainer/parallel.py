"""Several processes that train one network, as if they were one with the whole batch (started by ``torchrun``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather, all_reduce


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that ``torchrun`` started, if it did; the device of this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is; 0 writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def rows_of_process(count: int) -> slice:
    """The rows of a batch of ``count`` that are this process's."""
    share = count // world_size()
    return slice(rank() * share, (rank() + 1) * share)


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes, in order; gradients flow back to each."""
    return torch.cat(all_gather(rows)) if world_size() > 1 else rows


def average(values: Iterable[Tensor]) -> None:
    """Replace tensors by their mean over the processes."""
    if world_size() == 1:
        return
    values = list(values)
    flat = torch.cat([value.flatten() for value in values])
    dist.all_reduce(flat)
    flat /= world_size()
    start = 0
    for value in values:
        value.copy_(flat[start : start + value.numel()].view_as(value))
        start += value.numel()


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any of the processes."""
    if world_size() == 1:
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value)
    return bool(value > 0)


class SyncBatchNormAnyDevice(nn.BatchNorm2d):
    """BatchNorm over the batch of all processes; on any device, which ``torch.nn.SyncBatchNorm`` is not."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = values.numel() / values.shape[1] * world_size()
        mean = all_reduce(values.sum((0, 2, 3))) / count
        centered = values - mean[None, :, None, None]
        variance = all_reduce(centered.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * scale[None, :, None, None] + self.bias[None, :, None, None]).to(x.dtype)


def sync_batchnorm(network: nn.Module) -> nn.Module:
    """Turn the BatchNorm layers of a network into :class:`SyncBatchNormAnyDevice`, in place, with the same tensors."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNormAnyDevice
    return network
