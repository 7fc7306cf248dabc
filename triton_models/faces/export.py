"""CenterFace for uint8 pictures: the shipped graph behind a cast and a transpose, with free sizes and readable names."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from onnx_export import Feed, Outputs, main, renamed, run_onnx, session, weights

SHIPPED_NAMES = {"537": "heatmap", "538": "scale", "539": "offset", "540": "landmarks"}
CHANNELS = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}


def graph() -> onnx.ModelProto:
    """image uint8 (batch, height, width, 3) → the four maps at a quarter of the size."""
    model = shipped(free_sizes=True)
    renamed(model, {"input.1": "planes", **SHIPPED_NAMES})
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3]))
    for place, node in enumerate(
        [
            helper.make_node("Transpose", ["image"], ["planes_u8"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["planes_u8"], ["planes"], to=TensorProto.FLOAT),
        ]
    ):
        model.graph.node.insert(place, node)
    return model


def shipped(free_sizes: bool) -> onnx.ModelProto:
    """The file of the package, float32 (10, 3, 32, 32) in RGB 0 to 255; with free_sizes it states no sizes."""
    model = onnx.load(weights(__file__)[0])
    used = {name for node in model.graph.node for name in node.input}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)
    # The file lists its weights as inputs, which keeps ONNX Runtime from folding batch normalisation into the convolutions.
    pixels = next(value for value in model.graph.input if value.name == "input.1")
    del model.graph.input[:]
    model.graph.input.append(pixels)
    if free_sizes:
        _free(model.graph.input[0], ["batch", 3, "height", "width"])
        for value in model.graph.output:
            _free(value, ["batch", CHANNELS[SHIPPED_NAMES[value.name]], "rows", "columns"])
        del model.graph.value_info[:]
    return model


def _free(value: onnx.ValueInfoProto, shape: Sequence[str | int]) -> None:
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))


def reference(feed: Feed) -> Outputs:
    """The untouched file at the one size that it states; at others the same graph with that statement taken away."""
    planes = feed["image"].transpose(0, 3, 1, 2).astype(np.float32)
    model = weights(__file__)[0] if planes.shape == (10, 3, 32, 32) else shipped(free_sizes=True).SerializeToString()
    return run_onnx(session(model), {"input.1": planes})


def picture(batch: int, height_px: int, width_px: int) -> Feed:
    return {"image": np.random.default_rng(batch).integers(0, 256, (batch, height_px, width_px, 3), dtype=np.uint8)}


EXAMPLES = {
    "b1": picture(1, 256, 320),
    "b4": picture(4, 256, 320),
    "b8": picture(8, 256, 320),
    "b2_480x640": picture(2, 480, 640),
    "b10_as_shipped": picture(10, 32, 32),
}

if __name__ == "__main__":
    sys.exit(main(__file__, graph, reference, EXAMPLES))
