"""The client of gRPC's interoperability tests: interop.py ADDRESS DESCRIPTORS. Names each case that passed."""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

WITHIN = 20
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
INITIAL, TRAILING = ("x-grpc-test-echo-initial", "test_initial_metadata_value"), (
    "x-grpc-test-echo-trailing-bin",
    b"\xab\xab\xab",
)


def contract(path):
    pool = descriptor_pool.DescriptorPool()
    with open(path, "rb") as file:
        for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(proto)
    return pool


class Stub:
    """The methods of a service as callables."""

    def __init__(self, channel, pool, name):
        self.message = lambda short: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.testing.{short}"))
        for method in pool.FindServiceByName(name).methods:
            kind = ("stream" if method.client_streaming else "unary") + "_" + (
                "stream" if method.server_streaming else "unary"
            )
            output = message_factory.GetMessageClass(method.output_type)
            call = getattr(channel, kind)(
                f"/{name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=output.FromString,
            )
            setattr(self, method.name, call)


def payload(stub, size):
    return stub.message("Payload")(body=b"\0" * size)


def outputs(stub, sizes, request_size=None, interval_us=0):
    parameters = [stub.message("ResponseParameters")(size=size, interval_us=interval_us) for size in sizes]
    request = stub.message("StreamingOutputCallRequest")(response_parameters=parameters)
    if request_size is not None:
        request.payload.CopyFrom(payload(stub, request_size))
    return request


def refused(call, code, details=None):
    """The error of a call that must fail like this."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert details is None or error.details() == details, error
        return error
    raise AssertionError("the call did not fail")


def empty_unary(stub):
    assert stub.EmptyCall(stub.message("Empty")(), timeout=WITHIN) == stub.message("Empty")()


def large_request(stub):
    return stub.message("SimpleRequest")(response_size=LARGE_RESPONSE, payload=payload(stub, LARGE_REQUEST))


def large_unary(stub):
    answer = stub.UnaryCall(large_request(stub), timeout=WITHIN)
    assert answer.payload.body == b"\0" * LARGE_RESPONSE


def client_streaming(stub):
    sizes = [27182, 8, 1828, 45904]
    requests = (stub.message("StreamingInputCallRequest")(payload=payload(stub, size)) for size in sizes)
    assert stub.StreamingInputCall(requests, timeout=WITHIN).aggregated_payload_size == 74922


def server_streaming(stub):
    sizes = [31415, 9, 2653, 58979]
    answers = stub.StreamingOutputCall(outputs(stub, sizes), timeout=WITHIN)
    assert [len(answer.payload.body) for answer in answers] == sizes


def server_streaming_that_fails(stub):
    request = outputs(stub, [1, 2])
    request.response_status.code, request.response_status.message = 9, "not in this state"
    answers = stub.StreamingOutputCall(request, timeout=WITHIN)
    assert [len(next(answers).payload.body) for _ in range(2)] == [1, 2]
    refused(lambda: next(answers), grpc.StatusCode.FAILED_PRECONDITION, "not in this state")


class Pings:
    """Requests that are sent one by one."""

    def __init__(self):
        import queue

        self.requests = queue.Queue()

    def __iter__(self):
        return iter(self.requests.get, None)


def ping_pong(stub):
    pings = Pings()
    answers = stub.FullDuplexCall(iter(pings), timeout=WITHIN)
    for request_size, size in zip([27182, 8, 1828, 45904], [31415, 9, 2653, 58979]):
        pings.requests.put(outputs(stub, [size], request_size))
        assert len(next(answers).payload.body) == size
    pings.requests.put(None)
    assert list(answers) == []


def empty_stream(stub):
    assert list(stub.FullDuplexCall(iter(()), timeout=WITHIN)) == []


def echoed(call):
    assert INITIAL in tuple(call.initial_metadata()), call.initial_metadata()
    assert TRAILING in tuple(call.trailing_metadata()), call.trailing_metadata()


def custom_metadata_of_unary(stub):
    _, call = stub.UnaryCall.with_call(large_request(stub), metadata=(INITIAL, TRAILING), timeout=WITHIN)
    echoed(call)


def custom_metadata_of_streams(stub):
    call = stub.FullDuplexCall(
        iter([outputs(stub, [LARGE_RESPONSE], LARGE_REQUEST)]), metadata=(INITIAL, TRAILING), timeout=WITHIN
    )
    assert [len(answer.payload.body) for answer in call] == [LARGE_RESPONSE]
    echoed(call)


def with_status(request, code, message):
    request.response_status.code, request.response_status.message = code, message
    return request


def status_code_and_message(stub):
    text, unknown = "test status message", grpc.StatusCode.UNKNOWN
    unary = with_status(stub.message("SimpleRequest")(), 2, text)
    refused(lambda: stub.UnaryCall(unary, timeout=WITHIN), unknown, text)
    streamed = with_status(stub.message("StreamingOutputCallRequest")(), 2, text)
    refused(lambda: list(stub.FullDuplexCall(iter([streamed]), timeout=WITHIN)), unknown, text)


def special_status_message(stub):
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = with_status(stub.message("SimpleRequest")(), 2, text)
    refused(lambda: stub.UnaryCall(request, timeout=WITHIN), grpc.StatusCode.UNKNOWN, text)


def unimplemented_method(stub):
    empty = stub.message("Empty")()
    refused(lambda: stub.UnimplementedCall(empty, timeout=WITHIN), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(stub):
    empty = stub.message("Empty")()
    refused(lambda: stub.absent.UnimplementedCall(empty, timeout=WITHIN), grpc.StatusCode.UNIMPLEMENTED)


def cancel_after_begin(stub):
    pings = Pings()
    call = stub.StreamingInputCall.future(iter(pings), timeout=WITHIN)
    call.cancel()
    assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED
    pings.requests.put(None)


def cancel_after_first_response(stub):
    pings = Pings()
    answers = stub.FullDuplexCall(iter(pings), timeout=WITHIN)
    pings.requests.put(outputs(stub, [31415], 27182))
    assert len(next(answers).payload.body) == 31415
    answers.cancel()
    refused(lambda: next(answers), grpc.StatusCode.CANCELLED)
    pings.requests.put(None)


def timeout_on_sleeping_server(stub):
    request = outputs(stub, [1], 27182, interval_us=WITHIN * 1_000_000)
    pings = Pings()
    pings.requests.put(request)
    refused(lambda: list(stub.FullDuplexCall(iter(pings), timeout=0.1)), grpc.StatusCode.DEADLINE_EXCEEDED)
    pings.requests.put(None)


CASES = [
    empty_unary,
    large_unary,
    client_streaming,
    server_streaming,
    server_streaming_that_fails,
    ping_pong,
    empty_stream,
    custom_metadata_of_unary,
    custom_metadata_of_streams,
    status_code_and_message,
    special_status_message,
    unimplemented_method,
    unimplemented_service,
    cancel_after_begin,
    cancel_after_first_response,
    timeout_on_sleeping_server,
]


def main(address, descriptors):
    pool = contract(descriptors)
    with grpc.insecure_channel(address) as channel:
        stub = Stub(channel, pool, "grpc.testing.TestService")
        stub.absent = Stub(channel, pool, "grpc.testing.UnimplementedService")
        for case in CASES:
            case(stub)
            print(case.__name__, flush=True)


main(*sys.argv[1:])
