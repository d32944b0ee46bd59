"""Present a gray channel to a network that was trained on other images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError, counted

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Presentation:
    """Describe what becomes of a crop before a network sees it.

    Attributes
    ----------
    channels : int
        Copies of the gray channel, 1 or 3.
    mean, std : tuple of float
        The crop is clipped to 0..1, then ``mean`` is subtracted and the result divided by ``std``, one number for each
        copy: as for photographs.
    standardize : bool
        Instead, each crop is shifted and scaled so that its mean is 0 and its standard deviation 1, not clipped.

    Raises
    ------
    WeightsError
        If the numbers do not fit together.

    Examples
    --------
    >>> Presentation(1, (0.5,), (0.25,)).as_options()
    {'channels': 1, 'mean': [0.5], 'std': [0.25]}
    """

    channels: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    standardize: bool = False

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise WeightsError(
                f"the network looks at {counted(self.channels, 'channels')} at once: microsnoop measures each channel "
                "by itself, with networks of 1 (gray) or 3 (RGB) channels"
            )
        if self.standardize and (self.mean or self.std):
            raise WeightsError("`standardize` computes the mean and deviation of each crop: leave `mean` and `std` out")
        if not self.standardize and {len(self.mean), len(self.std)} != {self.channels}:
            raise WeightsError(
                f"the network takes {counted(self.channels, 'channels')}, so `mean` and `std` need {self.channels} "
                "numbers each; or choose `standardize`"
            )
        if any(value <= 0 for value in self.std):
            raise WeightsError(f"`std` is {self.std}: its numbers must be above 0")

    def as_options(self) -> dict[str, Any]:
        """Return what a card stores, JSON types only; ``Presentation(**options)`` restores it."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in values.items() if value not in ([], False)}

    def __call__(self, x: Tensor) -> Tensor:
        """Present crops.

        Parameters
        ----------
        x : Tensor (n, 1, s, s)
            Normalized crops: most pixels lie in 0 to 1. An image of all ``channels`` is presented without copies.

        Returns
        -------
        Tensor (n, channels, s, s)
        """
        import torch.nn.functional as F

        if self.standardize:
            return F.instance_norm(x, eps=1e-7).expand(-1, self.channels, -1, -1)
        mean, std = (x.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (x.clamp(0, 1) - mean) / std
