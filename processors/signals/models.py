"""The models that signals ask, each declared once. Names, tensors and versions are the contract with `triton_models/`."""

from processors.signal import ModelRef, TensorSpec

__all__ = ["FACES", "IMAGE_TAGS", "SPEECH_SEGMENTS", "TEXT_EMBEDDING", "VIDEO_SHOTS"]

IMAGE_TAGS = ModelRef(
    name="image_tags",
    version="1",
    inputs=(TensorSpec("image", "uint8", (224, 224, 3)),),
    outputs=(TensorSpec("probabilities", "float32", (1000,)), TensorSpec("embedding", "float32", (1280,))),
    max_batch_rows=16,
)

FACES = ModelRef(
    name="faces",
    version="1",
    inputs=(TensorSpec("image", "uint8", (None, None, 3)),),
    outputs=(
        TensorSpec("heatmap", "float32", (1, None, None)),
        TensorSpec("scale", "float32", (2, None, None)),
        TensorSpec("offset", "float32", (2, None, None)),
        TensorSpec("landmarks", "float32", (10, None, None)),
    ),
    max_batch_rows=4,
)

TEXT_EMBEDDING = ModelRef(
    name="text_embedding",
    version="1",
    inputs=(TensorSpec("input_ids", "int64", (None,)), TensorSpec("attention_mask", "int64", (None,))),
    outputs=(TensorSpec("sentence_embedding", "float32", (384,)),),
    max_batch_rows=32,
)

SPEECH_SEGMENTS = ModelRef(
    name="speech_segments",
    version="1",
    inputs=(TensorSpec("frames", "float32", (None, 576)),),
    outputs=(TensorSpec("speech", "float32", (None,)),),
    max_batch_rows=16,
)

VIDEO_SHOTS = ModelRef(
    name="video_shots",
    version="1",
    inputs=(TensorSpec("frames", "uint8", (100, 27, 48, 3)),),
    outputs=(TensorSpec("cut", "float32", (100,)), TensorSpec("transition", "float32", (100,))),
    max_batch_rows=2,
)
