"""Define the interface of the networks that can be trained and used."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import WeightsError


class Network(nn.Module):
    """Base of the networks.

    The parameters that :meth:`embed` uses have names that begin with ``encoder.``; weights that only embed leave out
    the others.
    """

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings.

        Parameters
        ----------
        x : Tensor (n, 1, s, s)
            Crops, normalized so that most pixels lie in 0 to 1; s is any multiple of 8.

        Returns
        -------
        Tensor (n, dimension)
            Rows of unit length.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruct crops from what is not masked, if the network has a decoder.

        Parameters
        ----------
        x : Tensor (n, 1, s, s)
            Crops as for :meth:`embed`.
        mask : Tensor (n, 1, s, s), optional
            1 where the network must not see the crop, else 0.

        Returns
        -------
        Tensor (n, 1, s, s)

        Raises
        ------
        WeightsError
            If the network embeds only.
        """
        raise WeightsError(f"the network {type(self).__name__} embeds only: it cannot reconstruct an image")
