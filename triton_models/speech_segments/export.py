"""Silero VAD over many files and frames at once: the shipped weights in a graph that has a batch axis.

The package ships graphs for one file at a time. The layers are restated here around the weights of its sequence model; nothing
of them needs torch.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from onnx_export import OPSET, Feed, Outputs, main, run_onnx, session, weights

FRAME = 576  # 64 samples of context and 512 of its own, at 16 kHz

# Names of weights are those of the shipped graph with _ for dots. B files, T frames of each.
GRAPH = f"""
silero_vad (float[B, T, {FRAME}] frames) => (float[B, T] speech)
<int64[3] each_alone = {{-1, 1, {FRAME}}}, int64[6] reflect = {{0, 0, 0, 0, 0, 64}}, float two = {{2.0}},
 int64[1] first = {{0}}, int64[1] half = {{129}}, int64[1] all = {{258}}, int64[1] axis_1 = {{1}}, int64[1] tail = {{128}}>
{{
  each = Reshape (frames, each_alone)
  padded = Pad <mode = "reflect"> (each, reflect)
  spectrum = Conv <kernel_shape = [256], strides = [128]> (padded, stft_forward_basis_buffer)
  real = Slice (spectrum, first, half, axis_1)
  imaginary = Slice (spectrum, half, all, axis_1)
  real_squared = Pow (real, two)
  imaginary_squared = Pow (imaginary, two)
  power = Add (real_squared, imaginary_squared)
  magnitude = Sqrt (power)
  c0 = Conv <kernel_shape = [3], pads = [1, 1]> (magnitude, encoder_0_weight, encoder_0_bias)
  r0 = Relu (c0)
  c1 = Conv <kernel_shape = [3], pads = [1, 1], strides = [2]> (r0, encoder_1_weight, encoder_1_bias)
  r1 = Relu (c1)
  c2 = Conv <kernel_shape = [3], pads = [1, 1], strides = [2]> (r1, encoder_2_weight, encoder_2_bias)
  r2 = Relu (c2)
  c3 = Conv <kernel_shape = [3], pads = [1, 1]> (r2, encoder_3_weight, encoder_3_bias)
  r3 = Relu (c3)
  files_and_frames = Shape <start = 0, end = 2> (frames)
  files_frames_features = Concat <axis = 0> (files_and_frames, tail)
  encoded = Reshape (r3, files_frames_features)
  by_time = Transpose <perm = [1, 0, 2]> (encoded)
  hidden = LSTM <hidden_size = 128> (by_time, lstm_input, lstm_recurrent, lstm_bias)
  one_direction = Squeeze (hidden, axis_1)
  positive = Relu (one_direction)
  by_file = Transpose <perm = [1, 2, 0]> (positive)
  logits = Conv <kernel_shape = [1]> (by_file, output_weight, output_bias)
  probabilities = Sigmoid (logits)
  speech = Squeeze (probabilities, axis_1)
}}
"""


def graph() -> onnx.ModelProto:
    """frames float32 (batch, time, 576) → speech float32 (batch, time) in [0, 1]."""
    shipped = onnx.load(weights(__file__)[0]).graph
    lstm = next(node for node in shipped.node if node.op_type == "LSTM")
    names = dict(zip(lstm.input[1:4], ["lstm_input", "lstm_recurrent", "lstm_bias"], strict=True))
    parsed = onnx.parser.parse_graph(GRAPH)
    for tensor in shipped.initializer:
        parsed.initializer.add().CopyFrom(tensor)
        parsed.initializer[-1].name = names.get(tensor.name, tensor.name.replace(".", "_"))
    return helper.make_model(parsed, opset_imports=[helper.make_opsetid("", OPSET)])


def reference(feed: Feed) -> Outputs:
    """The shipped sequence model, one file after the other, from an empty state."""
    runner = session(weights(__file__)[0])
    state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
    return [np.stack([run_onnx(runner, {"input": file, **state})[0] for file in feed["frames"]])]


def sound(batch: int, frames: int) -> Feed:
    """Noise whose loudness rises and falls, so that the state matters."""
    noise = np.random.default_rng(batch).standard_normal((batch, frames, FRAME))
    swell = np.abs(np.sin(np.arange(frames) / 5))[:, None]
    return {"frames": (0.2 * noise * swell).astype(np.float32)}


EXAMPLES = {"b1": sound(1, 32), "b4": sound(4, 32), "b8": sound(8, 32), "b2_313_frames": sound(2, 313)}

if __name__ == "__main__":
    sys.exit(main(__file__, graph, reference, EXAMPLES))
