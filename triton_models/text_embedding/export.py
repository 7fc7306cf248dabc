"""all-MiniLM-L6-v2: BERT, masked mean over the tokens and unit length, in one graph that ignores padding."""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from onnx_export import Feed, main, torch_export, torch_reference, weights

PIPELINE = SentenceTransformer(
    str(weights(__file__)[0].parent), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"}
)


class Sentence(nn.Module):
    """input_ids, attention_mask int64 (batch, length) → sentence_embedding float32 (batch, 384) of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = PIPELINE[0].auto_model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        counted = attention_mask.unsqueeze(-1).float()
        mean = (hidden * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


class Original(nn.Module):
    """The package's own pipeline of modules, run by sentence-transformers."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        return PIPELINE(features)["sentence_embedding"]


def graph() -> onnx.ModelProto:
    """An output must not be called `embedding`: the exported BERT has a value of that name inside."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    length = torch.export.Dim("length", min=2, max=512)
    return torch_export(Sentence(), tokens(2, 24), ["sentence_embedding"], [{0: batch, 1: length}] * 2)


def tokens(batch: int, length: int) -> Feed:
    """Random words; every second row is padded from its middle on."""
    ids = np.random.default_rng(batch).integers(1000, 20000, (batch, length), dtype=np.int64)
    mask = np.ones_like(ids)
    ids[1::2, length // 2 :] = mask[1::2, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


EXAMPLES = {
    "b1": tokens(1, 24),
    "b4": tokens(4, 24),
    "b8": tokens(8, 24),
    "b1_3_tokens": tokens(1, 3),
    "b2_256_tokens": tokens(2, 256),
}

if __name__ == "__main__":
    sys.exit(main(__file__, graph, torch_reference(Original()), EXAMPLES))
