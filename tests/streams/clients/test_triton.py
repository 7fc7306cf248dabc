import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from processors.errors import InfrastructureError, ModelError, Overloaded, Reason, SignalsError
from processors.signal import ModelRef, TensorSpec
from streams.clients.triton import Triton, map_error

DOUBLE = ModelRef(
    name="double",
    version="3",
    inputs=(TensorSpec("x", "float32", (2,)), TensorSpec("ids", "int64", (None,))),
    outputs=(TensorSpec("twice", "float32", (2,)), TensorSpec("total", "int64", ())),
    max_batch_rows=4,
)

Arrays = dict[str, np.ndarray[Any, Any]]


def rows_of(count: int) -> Arrays:
    x = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    return {"x": x, "ids": np.arange(3 * count, dtype=np.int64).reshape(count, 3)}


def doubled(inputs: Arrays) -> Arrays:
    return {"twice": inputs["x"] * 2, "total": inputs["ids"].sum(axis=1)}


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Triton's gRPC service with one model in Python; fails as it is told."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.failures: list[tuple[grpc.StatusCode, str]] = []
        self.answer: Callable[[Arrays], Arrays] = doubled
        self.seconds = 0.0
        self.in_flight = 0
        self.most_in_flight = 0
        self.cancelled = 0
        self.is_ready = True
        self.asked = asyncio.Event()
        self.url = ""

    async def ServerReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=self.is_ready)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.asked.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        if self.failures:
            await context.abort(*self.failures.pop(0))
        return self._response(request)

    def _response(self, request: Any) -> Any:
        dtypes = {"FP32": np.float32, "INT64": np.int64}
        inputs = {
            tensor.name: np.frombuffer(raw, dtypes[tensor.datatype]).reshape(tuple(tensor.shape))
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        response = service_pb2.ModelInferResponse(model_name=request.model_name, model_version=request.model_version)
        for name, array in self.answer(inputs).items():
            tensor = response.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype))
            tensor.shape.extend(array.shape)
            response.raw_output_contents.append(array.tobytes())
        return response


@asynccontextmanager
async def served() -> AsyncIterator[Server]:
    service = Server()
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    service.url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield service
    finally:
        await server.stop(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as service:
        yield service


@asynccontextmanager
async def client(*urls: str, requests_per_model: int = 64, timeout_seconds: float = 5.0) -> AsyncIterator[Triton]:
    triton = Triton(urls, requests_per_model, timeout_seconds)
    try:
        yield triton
    finally:
        await triton.close()


async def failure(triton: Triton, tensors: Arrays, model: ModelRef = DOUBLE) -> SignalsError:
    with pytest.raises(SignalsError) as raised:
        await triton(model, tensors)
    return raised.value


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 11])
async def test_all_rows_are_answered_in_order(server: Server, rows: int) -> None:
    """Any number of rows comes back whole and in order, in requests of no more than the model takes."""
    async with client(server.url) as triton:
        answer = await triton(DOUBLE, rows_of(rows))
    np.testing.assert_array_equal(answer["twice"], rows_of(rows)["x"] * 2)
    np.testing.assert_array_equal(answer["total"], rows_of(rows)["ids"].sum(axis=1))
    assert answer["total"].dtype == np.int64
    assert len(server.requests) == -(-rows // 4)
    assert max(request.inputs[0].shape[0] for request in server.requests) <= 4


async def test_the_request_says_what_the_model_ref_says(server: Server) -> None:
    """Name and version are pinned; the model's inputs are sent and nothing else; its outputs are asked for by name."""
    async with client(server.url) as triton:
        await triton(DOUBLE, {**rows_of(1), "times_ms": np.zeros(1, np.int64)})
    (request,) = server.requests
    assert (request.model_name, request.model_version) == ("double", "3")
    assert [tensor.name for tensor in request.inputs] == ["x", "ids"]
    assert [tensor.name for tensor in request.outputs] == ["twice", "total"]


async def test_rows_that_do_not_lie_together_are_sent_right(server: Server) -> None:
    """A strided view gives the same answer as its copy."""
    tensors = rows_of(6)
    view = {"x": tensors["x"][::2], "ids": tensors["ids"][::-2]}
    async with client(server.url) as triton:
        answer = await triton(DOUBLE, view)
    np.testing.assert_array_equal(answer["twice"], view["x"] * 2)
    np.testing.assert_array_equal(answer["total"], view["ids"].sum(axis=1))


async def test_no_rows_need_no_request(server: Server) -> None:
    """Nothing asked, nothing sent: empty arrays of the promised dtypes."""
    async with client(server.url) as triton:
        answer = await triton(DOUBLE, rows_of(0))
    assert answer["twice"].shape == (0, 2)
    assert answer["twice"].dtype == np.float32
    assert answer["total"].shape == (0,)
    assert server.requests == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": np.zeros((1, 2), np.float64)}, "float64"),
        ({"x": np.zeros((1, 3), np.float32)}, r"\(1, 3\)"),
        ({"x": np.zeros(2, np.float32)}, r"\(2,\)"),
        ({"x": np.zeros((2, 2), np.float32)}, "equally many rows"),
        ({"x": None}, "lacks the input 'x'"),
    ],
)
async def test_wrong_input_is_not_sent(server: Server, change: dict[str, Any], said: str) -> None:
    """What the model does not take is refused here, with what it takes."""
    tensors = {name: array for name, array in ({**rows_of(1), **change}).items() if array is not None}
    async with client(server.url) as triton:
        with pytest.raises(ModelError, match=said) as raised:
            await triton(DOUBLE, tensors)
    assert raised.value.reason is Reason.MODEL_REJECTED_INPUT
    assert server.requests == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: {"total": out["total"]}, "no output 'twice'"),
        (lambda out: {**out, "twice": out["twice"][:-1]}, "for 3 rows"),
        (lambda out: {**out, "twice": np.zeros((3, 5), np.float32)}, r"\(3, 5\)"),
        (lambda out: {**out, "twice": out["twice"].ravel()}, r"\(6,\)"),
        (lambda out: {**out, "twice": out["twice"].astype(np.int64)}, "int64"),
        (lambda out: {**out, "twice": np.full((3, 2), np.nan, np.float32)}, "infinite or none"),
        (lambda out: {**out, "twice": np.array([[1, 2], [3, np.inf], [4, 5]], np.float32)}, "infinite or none"),
    ],
)
async def test_answers_that_break_the_promise_are_refused(server: Server, change: Callable[[Arrays], Arrays], said: str) -> None:
    """A missing output, a wrong shape, dtype or number of rows, and numbers that are none are bad output."""
    server.answer = lambda inputs: change(doubled(inputs))
    async with client(server.url) as triton:
        with pytest.raises(ModelError, match=said) as raised:
            await triton(DOUBLE, rows_of(3))
    assert raised.value.reason is Reason.BAD_OUTPUT


async def test_requests_to_one_model_are_bounded(server: Server) -> None:
    """No more than requests_per_model are in flight, over all callers and parts; another model has its own bound."""
    server.seconds = 0.02
    other = ModelRef("other", "1", DOUBLE.inputs, DOUBLE.outputs, 4)
    async with client(server.url, requests_per_model=3) as triton:
        await asyncio.gather(*(triton(DOUBLE, rows_of(9)) for _ in range(4)))
        assert server.most_in_flight == 3
        await asyncio.gather(*(triton(model, rows_of(9)) for model in (DOUBLE, other) for _ in range(2)))
        assert server.most_in_flight == 6


async def test_cancelling_frees_the_slot(server: Server) -> None:
    """A cancelled call ends at the server as well and leaves its slot to others."""
    server.seconds = 10
    async with client(server.url, requests_per_model=1) as triton:
        calls = [asyncio.create_task(triton(DOUBLE, rows_of(rows))) for rows in (1, 9)]
        await asyncio.wait_for(server.asked.wait(), timeout=2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert all(call.cancelled() for call in calls)
        server.seconds = 0
        await asyncio.wait_for(triton(DOUBLE, rows_of(1)), timeout=2)
        assert server.cancelled == 1


async def test_one_failed_part_ends_the_others(server: Server) -> None:
    """The failure of a part is the failure of the call, as itself and not as a group."""
    server.failures = [(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")]
    async with client(server.url, requests_per_model=1) as triton:
        assert type(await failure(triton, rows_of(11))) is Overloaded
    assert len(server.requests) < 3


async def test_urls_are_asked_in_turn() -> None:
    """Requests go round."""
    async with served() as one, served() as two, client(one.url, f" {two.url} ") as triton:
        for _ in range(6):
            await triton(DOUBLE, rows_of(1))
        assert (len(one.requests), len(two.requests)) == (3, 3)


async def test_a_server_that_is_away_is_passed_over() -> None:
    """With one of two servers gone, every call is answered by the other, at once."""
    async with served() as one:
        async with served() as two:
            gone = two.url
        async with client(gone, one.url) as triton:
            for _ in range(4):
                await triton(DOUBLE, rows_of(1))
            await triton.ready()
        assert len(one.requests) == 4


async def test_a_server_that_comes_back_is_found() -> None:
    """After an outage the same client answers again within seconds, not after gRPC's two minutes."""
    async with served() as first:
        port = first.url.rpartition(":")[2]
    async with client(f"127.0.0.1:{port}") as triton:
        for _ in range(30):
            assert type(await failure(triton, rows_of(1))) is InfrastructureError
        service = Server()
        server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        for _ in range(60):
            try:
                await triton(DOUBLE, rows_of(1))
                break
            except InfrastructureError:
                await asyncio.sleep(0.1)
        assert len(service.requests) == 1
        await server.stop(0)


async def test_a_call_that_takes_too_long_is_overload(server: Server) -> None:
    """The deadline holds and means: slow down."""
    server.seconds = 10
    async with client(server.url, timeout_seconds=0.1) as triton:
        error = await failure(triton, rows_of(1))
    assert type(error) is Overloaded
    assert error.reason is Reason.MODEL_OVERLOADED


FAILED = (
    grpc.StatusCode.INTERNAL,
    "Failed to process the request(s) for model 'double_0_0', message: ValueError: bad\nTraceback …",
)


async def test_a_failure_in_company_is_tried_alone(server: Server) -> None:
    """Who was in a batch with a bad neighbour gets a second chance; who is bad fails twice and is told from the first line."""
    async with client(server.url) as triton:
        server.failures = [FAILED]
        await triton(DOUBLE, rows_of(1))
        assert len(server.requests) == 2
        server.failures = [FAILED, FAILED]
        error = await failure(triton, rows_of(1))
    assert isinstance(error, ModelError)
    assert error.reason is Reason.MODEL_FAILED
    assert "ValueError: bad" in error.detail
    assert "Traceback" not in error.detail


async def test_tries_alone_are_one_at_a_time(server: Server) -> None:
    """Requests that failed together are not sent together again."""
    server.seconds = 0.01
    server.failures = [FAILED] * 4
    async with client(server.url) as triton:
        await asyncio.gather(*(triton(DOUBLE, rows_of(1)) for _ in range(4)))
        server.most_in_flight = 0
        server.failures = [FAILED] * 8
        results = await asyncio.gather(*(triton(DOUBLE, rows_of(1)) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(result, ModelError) for result in results)
    assert len(server.requests) == 16


async def test_ready(server: Server) -> None:
    """Ready is silent; not ready, and away, are told with the address and what to do."""
    async with client(server.url) as triton:
        await triton.ready()
        server.is_ready = False
        with pytest.raises(InfrastructureError, match=f"{server.url} is there and not ready"):
            await triton.ready()
    async with client("127.0.0.1:9") as triton:
        with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:9.*SIGNALS_TRITON_URLS") as raised:
            await triton.ready()
    assert raised.value.reason is Reason.MODEL_UNAVAILABLE


def test_without_an_address() -> None:
    """An empty setting is told as such."""
    with pytest.raises(InfrastructureError, match="SIGNALS_TRITON_URLS"):
        Triton([" "], 1, 1.0)


@pytest.mark.parametrize(
    ("status", "message", "kind", "reason"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; Connection refused", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("UNAVAILABLE", "Stream removed (Socket closed)", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("UNAVAILABLE", "Server exiting", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("UNAVAILABLE", "[request id: <id_unknown>] Exceeds maximum queue size", Overloaded, Reason.MODEL_OVERLOADED),
        ("UNAVAILABLE", "[request id: <id_unknown>] Request timeout expired", Overloaded, Reason.MODEL_OVERLOADED),
        ("NOT_FOUND", "Request for unknown model: 'm' has no available versions", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("NOT_FOUND", "Request for unknown model: 'nope' is not found", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("NOT_FOUND", "Request for unknown model: 'm' version 7 is not found", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Overloaded, Reason.MODEL_OVERLOADED),
        ("INVALID_ARGUMENT", "unexpected shape for input 'x', got [1,5]", ModelError, Reason.MODEL_REJECTED_INPUT),
        ("INVALID_ARGUMENT", "own text of a model", ModelError, Reason.MODEL_REJECTED_INPUT),
        ("INVALID_ARGUMENT", "input 'x' data-type is 'INT64', but model", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INVALID_ARGUMENT", "inference request batch-size must be <= 1 for 'm'", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INVALID_ARGUMENT", "expected 1 inputs but got 0 inputs for model 'm'", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INVALID_ARGUMENT", "unexpected inference input 'z' for model 'm'", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INVALID_ARGUMENT", "unexpected inference output 'q' for model 'm'", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INTERNAL", "Failed to process the request(s) for model 'm', message: ValueError: x", ModelError, Reason.MODEL_FAILED),
        ("INTERNAL", "Stub process 'm_0_0' is not healthy.", InfrastructureError, Reason.MODEL_UNAVAILABLE),
        ("INTERNAL", "CUDA out of memory", Overloaded, Reason.MODEL_OVERLOADED),
        ("UNIMPLEMENTED", "ModelInfer RPC doesn't support decoupled models", InfrastructureError, Reason.MODEL_UNAVAILABLE),
    ],
)  # fmt: skip
def test_each_of_tritons_failures_has_its_class(status: str, message: str, kind: type[SignalsError], reason: Reason) -> None:
    """The failures that were seen on a real server, each by status and text."""
    error = map_error(InferenceServerException(message, f"StatusCode.{status}", None), "Model m, version 1")
    assert type(error) is kind
    assert error.reason is reason
    assert message in error.detail
    assert "Model m, version 1" in error.detail


@pytest.mark.parametrize("status", [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK])
def test_no_status_is_unmapped(status: grpc.StatusCode) -> None:
    """Every status that gRPC has, with whatever text, is one of our errors."""
    assert isinstance(map_error(InferenceServerException("any text", str(status), None), "Model m"), SignalsError)
    assert isinstance(map_error(InferenceServerException(None, str(status), None), "Model m"), SignalsError)


@pytest.mark.parametrize(
    "message", ["Request for unknown model: 'nope' is not found", "inference request batch-size must be <= 1"]
)
def test_configuration_is_not_the_events_fault(message: str) -> None:
    """What is wrong with the server's models says so and what to run."""
    status = "NOT_FOUND" if "unknown" in message else "INVALID_ARGUMENT"
    error = map_error(InferenceServerException(message, f"StatusCode.{status}", None), "Model nope, version 1")
    assert "signals models check" in error.detail
