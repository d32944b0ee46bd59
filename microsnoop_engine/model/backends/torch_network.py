"""The encoder for inference with PyTorch: computed only where a crop changes it, BatchNorm folded where that is exact.

See :mod:`.receptive_field` for which part of each stage that is. What a crop leaves unchanged enters the
embedding as a sum that depends on the weights alone.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import Whitened
from ..unet import DownStage, Microsnoop, NormConv
from .receptive_field import StageWindow, stage_windows


def for_inference(network: nn.Module, frame: int, kind: torch.dtype) -> nn.Module:
    """A network whose ``embed`` takes crops (n, 1, s, s) of any even s up to the frame, as if zeros were around them.

    Parameters
    ----------
    network : nn.Module
        As :func:`microsnoop_engine.model.registry.build` gives it.
    frame : int
        Height and width of the frame of zeros in pixels.
    kind : torch.dtype
        Of the arithmetic.
    """
    if isinstance(network, Whitened):
        return Whitened(for_inference(network.network, frame, kind), network.weight, network.bias)
    return Windowed(network, frame, kind) if isinstance(network, Microsnoop) else Framed(network, frame, kind)


class Framed(nn.Module):
    """Any network, on whole frames."""

    def __init__(self, network: nn.Module, frame: int, kind: torch.dtype):
        super().__init__()
        self.network, self.frame, self.kind = network, frame, kind

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length, float32, from crops (n, 1, s, s)."""
        x = F.pad(x, [(self.frame - x.shape[-1]) // 2] * 4).contiguous(memory_format=torch.channels_last)
        autocast = nullcontext() if self.kind == torch.float32 else torch.autocast(x.device.type, self.kind)
        with autocast:
            return self.network.embed(x).float()


class Windowed(nn.Module):
    """The encoder of :class:`microsnoop_engine.model.unet.Microsnoop`, on the windows that crops change."""

    def __init__(self, network: Microsnoop, frame: int, kind: torch.dtype):
        super().__init__()
        self.frame = frame
        self.stages = nn.ModuleList(FoldedStage(stage, kind) for stage in network.encoder)
        with torch.inference_mode():
            zeros = torch.zeros(1, 1, frame, frame)
            maps = network.encode(zeros)
            inputs = [zeros, *(F.max_pool2d(m, 2) for m in maps[:-1])]
        for n, background in enumerate(inputs):
            self.register_buffer(f"background_{n}", background.clone().to(torch.float32 if n == 0 else kind))
        self.register_buffer("answer", maps[-1].clone())

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length, float32, from crops (n, 1, s, s) in float32."""
        places = stage_windows(x.shape[-1], self.frame, len(self.stages))
        for n, (stage, place) in enumerate(zip(self.stages, places, strict=True)):
            x = self._surround(n, x, place)
            if n < len(self.stages) - 1:
                x = F.max_pool2d(stage(x, place), 2)
        total = self.stages[-1].total(x, places[-1]) + self._outside(places[-1].edges[-1])
        return F.normalize(total / self.answer[0, 0].numel())

    def _surround(self, n: int, x: Tensor, place: StageWindow) -> Tensor:
        """The part of a stage's input that is read: what the crop changed, within the background."""
        ring = place.changed - place.edges[0]
        if not ring:
            return x
        patch = _cut(getattr(self, f"background_{n}"), place.edges[0])
        patch = patch.expand(len(x), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        patch[:, :, ring:-ring, ring:-ring] = x
        return patch

    def _outside(self, edge: int) -> Tensor:
        """Sum (1, d) over the last map of what no crop of this size changes."""
        outside = self.answer.clone()
        _cut(outside, edge).zero_()
        return outside.sum((2, 3))


class FoldedStage(nn.Module):
    """A :class:`DownStage` in evaluation mode.

    A BatchNorm that follows a convolution, or precedes one without a ReLU between, is folded into its weights in
    float32; two of five remain. Gray levels are not read in bfloat16, which has 8 bits for them.
    """

    def __init__(self, stage: DownStage, kind: torch.dtype):
        super().__init__()
        c0, c1, c2, c3 = stage.convs
        self.kind = kind
        self.norms = nn.ModuleList([c0.norm, c2.norm])
        gain, shift = _affine(stage.proj)
        weights = [stage.proj.conv.weight * gain[:, None, None]]
        projected = stage.proj.conv.bias + stage.proj.conv.weight[:, :, 0, 0] @ shift
        biases = []
        for first, second in ((c0, c1), (c2, c3)):
            gain, shift = _affine(second)
            weights += [first.conv.weight * gain[:, None, None, None], second.conv.weight]
            biases += [first.conv.bias * gain + shift, second.conv.bias]
        biases[1] = biases[1] + projected
        reading = torch.float32 if weights[0].shape[1] == 1 and kind == torch.bfloat16 else kind
        kinds = (reading, reading, kind, kind, kind)
        tensors = zip(("proj", "0", "1", "2", "3"), weights, [None, *biases], kinds, strict=True)
        for name, weight, bias, own_kind in tensors:
            weight = weight.to(own_kind, memory_format=torch.channels_last)
            self.register_buffer(f"weight_{name}", weight)
            self.register_buffer(f"bias_{name}", None if bias is None else bias.to(own_kind))
        self.register_buffer("taps", weights[-1].flatten(1))
        self.register_buffer("offset", biases[-1])

    def forward(self, x: Tensor, place: StageWindow) -> Tensor:
        """The stage's answer where it differs from the background."""
        y, h = self._before_last(x, place)
        return _cut(y, place.edges[4] - place.edges[2]) + self._convolve("3", h, place.padding[3])

    def total(self, x: Tensor, place: StageWindow) -> Tensor:
        """The sum (n, outputs) of :meth:`forward` over its pixels, in float32.

        The last convolution is not computed: the sum of its answer is that of its input, shifted nine times.
        """
        y, h = self._before_last(x, place)
        y = _cut(y, place.edges[4] - place.edges[2])
        shifted = _shifted_sums(F.pad(h, [place.padding[3]] * 4)).flatten(1)
        area = y.shape[2] * y.shape[3]
        return y.sum((2, 3), dtype=torch.float32) + F.linear(shifted, self.taps, self.offset * area)

    def _before_last(self, x: Tensor, place: StageWindow) -> tuple[Tensor, Tensor]:
        """The sum up to the second convolution, and what the last one reads."""
        h = F.relu(self._convolve("0", F.relu(self.norms[0](x)), place.padding[0]))
        y = _cut(self._convolve("proj", x), place.edges[2] - place.edges[0])
        y = y + self._convolve("1", h, place.padding[1])
        return y, F.relu(self._convolve("2", F.relu(self.norms[1](y)), place.padding[2]))

    def _convolve(self, name: str, x: Tensor, padding: int = 0) -> Tensor:
        weight, bias = getattr(self, f"weight_{name}"), getattr(self, f"bias_{name}")
        return F.conv2d(x.to(weight.dtype), weight, bias, padding=padding).to(self.kind)


def _affine(part: NormConv) -> tuple[Tensor, Tensor]:
    """Gain and shift of the BatchNorm of a convolution."""
    norm = part.norm
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return gain, norm.bias - norm.running_mean * gain


def _cut(x: Tensor, edge: int) -> Tensor:
    """A map without that many pixels at each edge."""
    return x[:, :, edge:-edge, edge:-edge] if edge else x


def _shifted_sums(x: Tensor) -> Tensor:
    """Sums (n, c, 3, 3) over what each element of a 3x3 kernel meets as it moves over maps (n, c, s, s)."""
    inner = x.shape[-1] - 2
    columns = torch.stack([x[..., k : k + inner].sum(3, dtype=torch.float32) for k in range(3)], 3)
    return torch.stack([columns[:, :, k : k + inner].sum(2) for k in range(3)], 2)
