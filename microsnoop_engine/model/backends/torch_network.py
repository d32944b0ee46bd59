"""Build the encoder for inference with PyTorch, computed only where a crop changes it.

BatchNorm is folded into convolutions where that is exact. :mod:`.receptive_field` says which part of each stage is
computed. What a crop leaves unchanged enters the embedding as a sum that depends on the weights alone.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..compact import Block, Compact, Stem
from ..frame import Frame
from ..network import Network
from ..registry import Whitened
from ..unet import DownStage, Microsnoop, NormConv
from .receptive_field import StageWindow, stage_windows


def for_inference(network: Network, frame: Frame, dtype: torch.dtype) -> Network:
    """Build a network that embeds crops by themselves or in the middle of a frame of zeros.

    Parameters
    ----------
    network : Network
        As :func:`microsnoop_engine.model.registry.build` returns it.
    frame : Frame
        What the network sees of a crop.
    dtype : torch.dtype
        Precision of the arithmetic.

    Returns
    -------
    Network
        Only ``embed`` can be used. It takes crops (n, 1, s, s) of any even s up to the frame and returns embeddings
        (n, dimension) of unit length, float32.
    """
    if isinstance(network, Whitened):
        return Whitened(for_inference(network.network, frame, dtype), network.weight, network.bias)
    if isinstance(network, Microsnoop):
        return Windowed(network, frame, dtype)
    if isinstance(network, Compact):
        network = folded(network)
    return Framed(network, frame, dtype)


def folded(network: Compact) -> Compact:
    """Return a copy of a compact network with the BatchNorms that follow a convolution folded into it.

    Parameters
    ----------
    network : Compact
        In evaluation mode.

    Returns
    -------
    Compact
        With ``Identity`` in place of these BatchNorms.
    """
    network = deepcopy(network)
    stem = cast(Stem, network.encoder["stem"])
    stem.conv1, stem.norm = fuse_conv_bn_eval(stem.conv1, cast(nn.BatchNorm2d, stem.norm)), nn.Identity()
    for block in network.modules():
        if isinstance(block, Block):
            block.conv1, block.norm2 = fuse_conv_bn_eval(block.conv1, cast(nn.BatchNorm2d, block.norm2)), nn.Identity()
    return network


class Framed(Network):
    """Any network, computed on crops or on whole frames of zeros around them.

    Parameters
    ----------
    network : Network
    frame : Frame
        What the network sees of a crop.
    dtype : torch.dtype
        Precision of the arithmetic.
    """

    def __init__(self, network: Network, frame: Frame, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.frame, self.dtype = network, frame, dtype

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length, float32, of crops (n, 1, s, s)."""
        if self.frame.zeros:
            x = F.pad(x, [(self.frame.size - x.shape[-1]) // 2] * 4)
        x = x.contiguous(memory_format=torch.channels_last)
        autocast = nullcontext() if self.dtype == torch.float32 else torch.autocast(x.device.type, self.dtype)
        with autocast:
            return self.network.embed(x).float()


class Windowed(Network):
    """The encoder of :class:`microsnoop_engine.model.unet.Microsnoop`, computed on the windows that crops change.

    Parameters
    ----------
    network : Microsnoop
    frame : Frame
        What the network sees of a crop.
    dtype : torch.dtype
        Precision of the arithmetic.
    """

    output: Tensor
    """The last stage's output (1, dimension, h, w) for a frame of zeros."""

    def __init__(self, network: Microsnoop, frame: Frame, dtype: torch.dtype) -> None:
        super().__init__()
        self.frame = frame
        self.stages = nn.ModuleList(FoldedStage(cast(DownStage, stage), dtype) for stage in network.encoder)
        with torch.inference_mode():
            zeros = torch.zeros(1, 1, frame.size, frame.size)
            maps = network.encode(zeros)
            inputs = [zeros, *(F.max_pool2d(m, 2) for m in maps[:-1])]
        for n, background in enumerate(inputs):
            self.register_buffer(f"background_{n}", background.clone().to(torch.float32 if n == 0 else dtype))
        self.register_buffer("output", maps[-1].clone())

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length, float32, of crops (n, 1, s, s), float32, of an even s."""
        side = self.frame.size if self.frame.zeros else x.shape[-1]
        windows = stage_windows(x.shape[-1], side, len(self.stages))
        *stages, deepest = cast("list[FoldedStage]", list(self.stages))
        for n, (stage, window) in enumerate(zip(stages, windows[:-1], strict=True)):
            x = F.max_pool2d(stage(self._surround(n, x, window), window), 2)
        window = windows[-1]
        total = deepest.total(self._surround(len(stages), x, window), window)
        if self.frame.zeros:
            total = total + self._outside(window.edges[-1])
        return F.normalize(total / (side >> len(stages)) ** 2)

    def _surround(self, n: int, x: Tensor, window: StageWindow) -> Tensor:
        """Surround what the crop changed with background, up to the part of the stage's input that is read."""
        ring = window.changed - window.edges[0]
        if not ring:
            return x
        patch = _cut(getattr(self, f"background_{n}"), window.edges[0])
        patch = patch.expand(len(x), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        patch[:, :, ring:-ring, ring:-ring] = x
        return patch

    def _outside(self, edge: int) -> Tensor:
        """Sum (1, dimension) over the part of the last map that no crop of this size changes."""
        outside = self.output.clone()
        _cut(outside, edge).zero_()
        return outside.sum((2, 3))


class FoldedStage(nn.Module):
    """A :class:`DownStage` in evaluation mode, with most of its BatchNorms folded into convolutions.

    A BatchNorm that follows a convolution, or precedes one without a ReLU between them, is folded into the weights in
    float32; two of five remain. Gray levels are not read in bfloat16, which would leave 8 bits of them.

    Parameters
    ----------
    stage : DownStage
    dtype : torch.dtype
        Precision of the arithmetic.
    """

    taps: Tensor
    """Weights (outputs, inputs * 9) of the last convolution."""
    offset: Tensor
    """Bias (outputs,) of the last convolution."""

    def __init__(self, stage: DownStage, dtype: torch.dtype) -> None:
        super().__init__()
        c0, c1, c2, c3 = cast("list[NormConv]", list(stage.convs))
        self.dtype = dtype
        self.norms = nn.ModuleList([c0.norm, c2.norm])
        gain, shift = _affine(stage.proj)
        weights = [stage.proj.conv.weight * gain[:, None, None]]
        projected = _bias(stage.proj) + stage.proj.conv.weight[:, :, 0, 0] @ shift
        biases: list[Tensor] = []
        for first, second in ((c0, c1), (c2, c3)):
            gain, shift = _affine(second)
            weights += [first.conv.weight * gain[:, None, None, None], second.conv.weight]
            biases += [_bias(first) * gain + shift, _bias(second)]
        biases[1] = biases[1] + projected
        reading = torch.float32 if weights[0].shape[1] == 1 and dtype == torch.bfloat16 else dtype
        dtypes = (reading, reading, dtype, dtype, dtype)
        tensors = zip(("proj", "0", "1", "2", "3"), weights, [None, *biases], dtypes, strict=True)
        for name, weight, bias, conv_dtype in tensors:
            self.register_buffer(f"weight_{name}", weight.to(conv_dtype, memory_format=torch.channels_last))
            self.register_buffer(f"bias_{name}", None if bias is None else bias.to(conv_dtype))
        self.register_buffer("taps", weights[-1].flatten(1))
        self.register_buffer("offset", biases[-1])

    def forward(self, x: Tensor, window: StageWindow) -> Tensor:
        """Compute the part of the stage's output that differs from the background.

        Parameters
        ----------
        x : Tensor (n, inputs, h, h)
            The part of the stage's input that is read.
        window : StageWindow

        Returns
        -------
        Tensor (n, outputs, k, k)
        """
        y, h = self._before_last(x, window)
        return _cut(y, window.edges[4] - window.edges[2]) + self._convolve("3", h, window.padding[3])

    def total(self, x: Tensor, window: StageWindow) -> Tensor:
        """Compute the sums (n, outputs) of :meth:`forward` over its pixels, in float32.

        The last convolution is not computed: the sum of its output follows from nine shifted sums of its input.
        """
        y, h = self._before_last(x, window)
        y = _cut(y, window.edges[4] - window.edges[2])
        shifted = _shifted_sums(F.pad(h, [window.padding[3]] * 4)).flatten(1)
        area = y.shape[2] * y.shape[3]
        return y.sum((2, 3), dtype=torch.float32) + F.linear(shifted, self.taps, self.offset * area)

    def _before_last(self, x: Tensor, window: StageWindow) -> tuple[Tensor, Tensor]:
        """Compute the sum after the second convolution, and the input of the last one."""
        h = F.relu(self._convolve("0", F.relu(self.norms[0](x)), window.padding[0]))
        y = _cut(self._convolve("proj", x), window.edges[2] - window.edges[0])
        y = y + self._convolve("1", h, window.padding[1])
        return y, F.relu(self._convolve("2", F.relu(self.norms[1](y)), window.padding[2]))

    def _convolve(self, name: str, x: Tensor, padding: int = 0) -> Tensor:
        weight, bias = getattr(self, f"weight_{name}"), getattr(self, f"bias_{name}")
        return F.conv2d(x.to(weight.dtype), weight, bias, padding=padding).to(self.dtype)


def _affine(part: NormConv) -> tuple[Tensor, Tensor]:
    """Return gain and shift of the BatchNorm before a convolution."""
    norm = part.norm
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight / torch.sqrt(variance + norm.eps)
    return gain, norm.bias - mean * gain


def _bias(part: NormConv) -> Tensor:
    return cast(Tensor, part.conv.bias)


def _cut(x: Tensor, edge: int) -> Tensor:
    """Cut ``edge`` pixels off each side of a map."""
    return x[:, :, edge:-edge, edge:-edge] if edge else x


def _shifted_sums(x: Tensor) -> Tensor:
    """Sum, for each element of a 3x3 kernel, the pixels of maps (n, c, s, s) that it meets; returns (n, c, 3, 3)."""
    inner = x.shape[-1] - 2
    columns = torch.stack([x[..., k : k + inner].sum(3, dtype=torch.float32) for k in range(3)], 3)
    return torch.stack([columns[:, :, k : k + inner].sum(2) for k in range(3)], 2)
