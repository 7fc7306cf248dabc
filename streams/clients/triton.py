"""Triton over gRPC. Says no more to a model than its ModelRef does, and takes no answer that differs from it."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from processors.errors import InfrastructureError, ModelError, Overloaded, Reason, SignalsError
from processors.signal import ModelRef, Tensors, TensorSpec

__all__ = ["Triton", "map_error"]

_READY_SECONDS: Final = 5.0
_MOST_MESSAGE_BYTES: Final = 2**31 - 1
# gRPC's own reconnecting backs off to two minutes; a Triton that is back must be found within seconds.
_CHANNEL: Final = (
    ("grpc.max_send_message_length", _MOST_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),
)

Row = tuple[type[SignalsError], Reason, str]

_AWAY: Final[Row] = (InfrastructureError, Reason.MODEL_UNAVAILABLE, "Start it (`signals up`) or set SIGNALS_TRITON_URLS.")
_NOT_LOADED: Final[Row] = (InfrastructureError, Reason.MODEL_UNAVAILABLE, "Load it, or see why not with `signals models check`.")
_CONFIGURED_OTHERWISE: Final[Row] = (
    InfrastructureError,
    Reason.MODEL_UNAVAILABLE,
    "The server's model is not the one this worker was built for. Run `signals models check`.",
)
_STUB_IS_DEAD: Final[Row] = (
    InfrastructureError,
    Reason.MODEL_UNAVAILABLE,
    "It does not recover by itself: unload and load the model, or restart Triton.",
)
_FULL: Final[Row] = (Overloaded, Reason.MODEL_OVERLOADED, "It is asked again later.")
_REJECTED: Final[Row] = (ModelError, Reason.MODEL_REJECTED_INPUT, "The input is not what the model takes.")
_FAILED: Final[Row] = (ModelError, Reason.MODEL_FAILED, "See Triton's log.")

# (status, text in the message) → what it means; the first row that fits. Configuration is never an event's fault.
_TABLE: Final[tuple[tuple[str, str, Row], ...]] = (
    ("UNAVAILABLE", "Exceeds maximum queue size", _FULL),
    ("UNAVAILABLE", "Request timeout expired", _FULL),
    ("UNAVAILABLE", "", _AWAY),
    ("DEADLINE_EXCEEDED", "", _FULL),
    ("RESOURCE_EXHAUSTED", "message larger than max", _REJECTED),
    ("RESOURCE_EXHAUSTED", "", _FULL),
    ("NOT_FOUND", "has no available versions", _NOT_LOADED),
    ("NOT_FOUND", "", _CONFIGURED_OTHERWISE),
    ("INVALID_ARGUMENT", "data-type is", _CONFIGURED_OTHERWISE),
    ("INVALID_ARGUMENT", "batch-size must be", _CONFIGURED_OTHERWISE),
    ("INVALID_ARGUMENT", "inputs but got", _CONFIGURED_OTHERWISE),
    ("INVALID_ARGUMENT", "unexpected inference", _CONFIGURED_OTHERWISE),
    ("INVALID_ARGUMENT", "", _REJECTED),
    ("OUT_OF_RANGE", "", _REJECTED),
    ("INTERNAL", "is not healthy", _STUB_IS_DEAD),
    ("INTERNAL", "out of memory", _FULL),
    ("INTERNAL", "Failed to allocate memory", _FULL),
    ("INTERNAL", "", _FAILED),
    ("UNKNOWN", "Stream removed", _AWAY),
    ("UNKNOWN", "", _FAILED),
    ("DATA_LOSS", "", _FAILED),
    ("FAILED_PRECONDITION", "", _FAILED),
    ("ALREADY_EXISTS", "", _FAILED),
    ("ABORTED", "", _AWAY),
    ("CANCELLED", "", _AWAY),
    ("UNIMPLEMENTED", "", _CONFIGURED_OTHERWISE),
    ("PERMISSION_DENIED", "", _AWAY),
    ("UNAUTHENTICATED", "", _AWAY),
)


def map_error(error: InferenceServerException, what: str) -> SignalsError:
    """The client's error as ours. what: whom it is about, as in "Model image_tags, version 1".

    Raises KeyError for a status that the table lacks.
    """
    status = str(error.status()).removeprefix("StatusCode.")
    message = str(error.message())
    for known, text, (kind, reason, advice) in _TABLE:
        if status == known and text in message:
            return kind(reason, f"{what}: Triton answered {status}, {_first_line(message)!r}. {advice}")
    raise KeyError(status)


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """What is prepared once per model. alone: for a request that failed and is tried again without its neighbours."""

    ref: ModelRef
    title: str
    inputs: tuple[tuple[TensorSpec, np.dtype[Any], str], ...]
    outputs: tuple[tuple[TensorSpec, np.dtype[Any]], ...]
    wanted: tuple[InferRequestedOutput, ...]
    slots: asyncio.Semaphore
    alone: asyncio.Lock


class Triton:
    """`streams.ports.Infer`. urls: host:port, asked in turn; requests_per_model: most in flight to one model.

    Arrays in an answer are read-only. Must be used in one event loop.
    """

    def __init__(self, urls: Sequence[str], requests_per_model: int, timeout_seconds: float) -> None:
        self._urls = [url.strip() for url in urls if url.strip()]
        if not self._urls:
            raise InfrastructureError(Reason.MODEL_UNAVAILABLE, "No Triton is named. Set SIGNALS_TRITON_URLS to host:port.")
        self._requests_per_model = requests_per_model
        self._timeout_seconds = timeout_seconds
        self._clients: list[InferenceServerClient] = []
        self._turn = itertools.count()
        self._model = lru_cache(maxsize=None)(self._prepared)

    async def __call__(self, model: ModelRef, tensors: Tensors) -> Tensors:
        """The model's outputs for these rows, by name, in their order; nothing is sent for no rows.

        tensors: the model's inputs by name, axis 0 the rows; others are left out. More rows than max_batch_rows go as several
        requests at once. Raises InfrastructureError, Overloaded, ModelError (MODEL_REJECTED_INPUT, MODEL_FAILED, BAD_OUTPUT).
        """
        prepared = self._model(model)
        arrays = _checked_inputs(prepared, tensors)
        rows = len(arrays[0])
        if rows == 0:
            return {spec.name: np.empty((0, *(side or 0 for side in spec.shape)), dtype) for spec, dtype in prepared.outputs}
        if rows <= model.max_batch_rows:
            return await self._answer(prepared, arrays)
        starts = range(0, rows, model.max_batch_rows)
        parts = [[array[start : start + model.max_batch_rows] for array in arrays] for start in starts]
        answers = await self._answers(prepared, parts)
        return {spec.name: np.concatenate([answer[spec.name] for answer in answers]) for spec, _ in prepared.outputs}

    async def ready(self) -> None:
        """Raises InfrastructureError if none of the servers is ready, with what each of them says."""
        said = []
        for url, client in zip(self._urls, self._connected(), strict=True):
            try:
                if await client.is_server_ready(client_timeout=_READY_SECONDS):
                    return
                said.append(f"Triton at {url} is there and not ready: a model failed to load, or it is starting. See its log.")
            except InferenceServerException as error:
                said.append(map_error(error, f"Triton at {url} does not answer").detail)
        raise InfrastructureError(Reason.MODEL_UNAVAILABLE, " ".join(said))

    async def close(self) -> None:
        clients, self._clients = self._clients, []
        for client in clients:
            await client.close()

    async def _answers(self, model: _Model, parts: Sequence[Sequence[NDArray[Any]]]) -> list[dict[str, NDArray[Any]]]:
        """One answer a part, in order. The first failure cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._answer(model, part)) for part in parts]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer(self, model: _Model, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """A request that fails in the model goes once more by itself: it may have been in a batch with a bad one."""
        async with model.slots:
            try:
                result = await self._request(model, arrays)
            except ModelError as error:
                if error.reason is not Reason.MODEL_FAILED:
                    raise
                async with model.alone:
                    result = await self._request(model, arrays)
        return _checked_outputs(model, result, len(arrays[0]))

    async def _request(self, model: _Model, arrays: Sequence[NDArray[Any]]) -> InferResult:
        """Asks the server whose turn it is; if that one is away, at once the next."""
        inputs = [
            InferInput(spec.name, array.shape, datatype).set_data_from_numpy(array)
            for (spec, _, datatype), array in zip(model.inputs, arrays, strict=True)
        ]
        clients = self._connected()
        first = next(self._turn)
        failure: SignalsError | None = None
        for hop in range(len(clients)):
            try:
                return await clients[(first + hop) % len(clients)].infer(
                    model.ref.name,
                    inputs,
                    model_version=model.ref.version,
                    outputs=model.wanted,
                    client_timeout=self._timeout_seconds,
                )
            except InferenceServerException as error:
                failure = map_error(error, model.title)
                if failure.reason is not Reason.MODEL_UNAVAILABLE:
                    raise failure from None
        assert failure is not None
        raise failure

    def _connected(self) -> list[InferenceServerClient]:
        """Made at the first use: gRPC's channels belong to the running loop."""
        if not self._clients:
            self._clients = [InferenceServerClient(url, channel_args=_CHANNEL) for url in self._urls]
        return self._clients

    def _prepared(self, ref: ModelRef) -> _Model:
        return _Model(
            ref=ref,
            title=f"Model {ref.name}, version {ref.version}",
            inputs=tuple((spec, np.dtype(spec.dtype), np_to_triton_dtype(np.dtype(spec.dtype))) for spec in ref.inputs),
            outputs=tuple((spec, np.dtype(spec.dtype)) for spec in ref.outputs),
            wanted=tuple(InferRequestedOutput(spec.name) for spec in ref.outputs),
            slots=asyncio.Semaphore(self._requests_per_model),
            alone=asyncio.Lock(),
        )


def _checked_inputs(model: _Model, tensors: Tensors) -> list[NDArray[Any]]:
    """The model's inputs in its order, all with the same number of rows. Raises ModelError (MODEL_REJECTED_INPUT)."""
    arrays = []
    for spec, dtype, _ in model.inputs:
        array = tensors.get(spec.name)
        if array is None:
            raise _rejected(model, f"lacks the input {spec.name!r}; given are {', '.join(sorted(tensors)) or 'none'}")
        if array.dtype != dtype or not _fits(array.shape, spec.shape):
            raise _rejected(model, f"takes {_described(spec)}, not {array.dtype} {array.shape}")
        arrays.append(array)
    if len({len(array) for array in arrays}) != 1:
        raise _rejected(model, f"takes inputs of equally many rows, not {[len(array) for array in arrays]}")
    return arrays


def _checked_outputs(model: _Model, result: InferResult, rows: int) -> dict[str, NDArray[Any]]:
    """The model's outputs by name. Raises ModelError (BAD_OUTPUT)."""
    answer: dict[str, NDArray[Any]] = {}
    for spec, dtype in model.outputs:
        array = result.as_numpy(spec.name)
        if array is None:
            raise _bad(model, f"gave no output {spec.name!r}")
        if array.dtype != dtype or not _fits(array.shape, spec.shape) or len(array) != rows:
            raise _bad(model, f"gave {array.dtype} {array.shape} for {rows} rows, promised is {_described(spec)}")
        if dtype.kind == "f" and not np.isfinite(array).all():
            raise _bad(model, f"gave numbers that are infinite or none in {spec.name!r}")
        answer[spec.name] = array
    return answer


def _fits(shape: tuple[int, ...], sides: tuple[int | None, ...]) -> bool:
    """Whether a shape with its batch axis is (any, *sides), where None goes with any length."""
    return len(shape) == len(sides) + 1 and all(
        side is None or side == there for side, there in zip(sides, shape[1:], strict=True)
    )


def _described(spec: TensorSpec) -> str:
    return f"{spec.name!r} as {spec.dtype} (rows, {', '.join('any' if side is None else str(side) for side in spec.shape)})"


def _rejected(model: _Model, what: str) -> ModelError:
    return ModelError(Reason.MODEL_REJECTED_INPUT, f"{model.title} {what}.")


def _bad(model: _Model, what: str) -> ModelError:
    return ModelError(Reason.BAD_OUTPUT, f"{model.title} {what}.")


def _first_line(message: str) -> str:
    """Python models answer with a whole traceback."""
    return message.strip().partition("\n")[0][:300]
