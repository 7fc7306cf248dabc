"""EfficientNet-Lite0 for uint8 pictures: normalisation, softmax and the pooled embedding are in the graph."""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from onnx_export import Feed, main, torch_export, torch_reference, weights


def shipped() -> EfficientNet:
    """The packages' own network. Never call its set_swish(): Lite uses ReLU6, and with swish every answer is nonsense."""
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights(__file__)[0], map_location="cpu", weights_only=True))
    return network.eval()


def normalised(image: Tensor) -> Tensor:
    """uint8 (batch, height, width, 3) → float32 (batch, 3, height, width), as the weights were trained; not ImageNet's mean."""
    return (image.permute(0, 3, 1, 2).float() - 127.0) / 128.0


class Tagger(nn.Module):
    """image uint8 (batch, 224, 224, 3) → probabilities (batch, 1000), embedding (batch, 1280) of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.network = shipped()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.network.extract_features(normalised(image)).mean(dim=(2, 3))
        return torch.softmax(self.network._fc(pooled), dim=1), pooled / pooled.norm(dim=1, keepdim=True)


class Original(nn.Module):
    """The packages' own forward pass, for comparison; the embedding is what enters its last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.network = shipped()
        self.pooled = torch.empty(0)
        self.network._fc.register_forward_pre_hook(self.remember)

    def remember(self, _layer: nn.Module, entering: tuple[Tensor, ...]) -> None:
        self.pooled = entering[0]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(normalised(image))
        return torch.softmax(logits, dim=1), nn.functional.normalize(self.pooled, dim=1)


def graph() -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=1024)
    return torch_export(Tagger(), picture(2), ["probabilities", "embedding"], [{0: batch}])


def picture(batch: int) -> Feed:
    return {"image": np.random.default_rng(batch).integers(0, 256, (batch, 224, 224, 3), dtype=np.uint8)}


EXAMPLES = {"b1": picture(1), "b4": picture(4), "b8": picture(8)}

if __name__ == "__main__":
    sys.exit(main(__file__, graph, torch_reference(Original()), EXAMPLES))
