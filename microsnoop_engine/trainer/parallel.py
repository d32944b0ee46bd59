"""Train one network in several processes that ``torchrun`` started, as if they were one with the whole batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather, all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that ``torchrun`` started; do nothing if it did not.

    Parameters
    ----------
    device : str

    Yields
    ------
    str
        Device of this process: with ``cuda``, the GPU of its local rank.
    """
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
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process; process 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def rows_of_process(count: int) -> slice:
    """Return the rows of a batch of ``count`` crops that this process computes."""
    share = count // world_size()
    return slice(rank() * share, (rank() + 1) * share)


def gather(rows: Tensor) -> Tensor:
    """Join the rows (n, d) of all processes in order; gradients flow back to each process."""
    return torch.cat(all_gather(rows)) if world_size() > 1 else rows  # type: ignore[no-untyped-call]


def average(values: Iterable[Tensor]) -> None:
    """Replace tensors, in place, by their mean over the processes."""
    if world_size() == 1:
        return
    tensors = list(values)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is set in any of the processes."""
    if world_size() == 1:
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value)
    return bool(value > 0)


class SyncBatchNormAnyDevice(_BatchNorm):
    """BatchNorm over the batch of all processes, also on CPUs, which ``torch.nn.SyncBatchNorm`` does not support."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize maps (n, c, h, w) or rows (n, c)."""
        if not self.training or world_size() == 1:
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = values.numel() / values.shape[1] * world_size()
        others = [n for n in range(values.ndim) if n != 1]
        shape = (1, -1, *(1,) * (values.ndim - 2))
        mean: Tensor = all_reduce(values.sum(others)) / count  # type: ignore[no-untyped-call]
        centered = values - mean.view(shape)
        variance: Tensor = all_reduce(centered.square().sum(others)) / count  # type: ignore[no-untyped-call]
        with torch.no_grad():
            momentum = cast(float, self.momentum)
            cast(Tensor, self.num_batches_tracked).add_(1)
            cast(Tensor, self.running_mean).lerp_(mean, momentum)
            cast(Tensor, self.running_var).lerp_(variance * count / (count - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * scale.view(shape) + self.bias.view(shape)).to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept the inputs of both kinds of layers."""


def sync_batchnorm(network: nn.Module) -> None:
    """Turn the BatchNorm layers of a network into :class:`SyncBatchNormAnyDevice`, in place, with the same tensors."""
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = SyncBatchNormAnyDevice
