"""The ceiling of end to end: a client that only asks Triton, with as many requests in flight as a worker has events."""

import asyncio
import time
from collections.abc import Sequence

from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import np_to_triton_dtype

from processors.signal import ModelRef, Tensors

__all__ = ["answers"]


def answers(url: str, model: ModelRef, requests: Sequence[Tensors], in_flight: int) -> list[float]:
    """Monotonic seconds at which each answer came, in order. requests: inputs by name, axis 0 the rows."""
    return asyncio.run(_answers(url, model, requests, in_flight))


async def _answers(url: str, model: ModelRef, requests: Sequence[Tensors], in_flight: int) -> list[float]:
    times: list[float] = []
    waiting = iter([_inputs(model, tensors) for tensors in requests])
    outputs = [InferRequestedOutput(spec.name) for spec in model.outputs]
    async with InferenceServerClient(url) as client, asyncio.TaskGroup() as group:

        async def ask() -> None:
            for inputs in waiting:
                answer = await client.infer(model.name, inputs, model_version=model.version, outputs=outputs)
                assert answer.as_numpy(model.outputs[0].name) is not None
                times.append(time.monotonic())

        for _ in range(in_flight):
            group.create_task(ask())
    return times


def _inputs(model: ModelRef, tensors: Tensors) -> list[InferInput]:
    arrays = [(spec.name, tensors[spec.name]) for spec in model.inputs]
    return [InferInput(name, array.shape, np_to_triton_dtype(array.dtype)).set_data_from_numpy(array) for name, array in arrays]
