"""Serves library.proto, with reflection and health: all that a gateway needs to find it and to know when it is well.

    python server.py --port 50051 --branch main
"""

import argparse
import signal
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

import library_pb2
import library_pb2_grpc

SERVICE = library_pb2.DESCRIPTOR.services_by_name["Library"].full_name
# How long calls may go on when the server stops.
GRACE_SECONDS = 10


class Library(library_pb2_grpc.LibraryServicer):
    def __init__(self, branch):
        self.branch = branch
        self.lock = threading.Lock()
        self.books = {
            "1": library_pb2.Book(book_id="1", title="Middlemarch", copies=3),
            "2": library_pb2.Book(book_id="2", title="Bleak House", copies=1),
        }

    def GetBook(self, request, context):
        return self.answer(self.find(request.book_id, context))

    def ListBooks(self, request, context):
        for book in list(self.books.values()):
            yield self.answer(book)

    def LendBook(self, request, context):
        with self.lock:
            book = self.find(request.book_id, context)
            if book.copies == 0:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"all copies of {book.title} are lent")
            book.copies -= 1
            return self.answer(book)

    def TakeIn(self, requests, context):
        books = 0
        for request in requests:
            with self.lock:
                self.find(request.book_id, context).copies += 1
            books += 1
        return library_pb2.TakeInResponse(books=books)

    def Browse(self, requests, context):
        for request in requests:
            yield self.answer(self.find(request.book_id, context))

    # Only served where library.proto has it.
    def ReturnBook(self, request, context):
        with self.lock:
            book = self.find(request.book_id, context)
            book.copies += 1
            return self.answer(book)

    def find(self, book_id, context):
        book = self.books.get(book_id)
        if book is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no book {book_id}")
        return book

    def answer(self, book):
        answer = library_pb2.Book()
        answer.CopyFrom(book)
        answer.branch = self.branch
        return answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=50051)
    parser.add_argument("--branch", default="main")
    options = parser.parse_args()

    server = grpc.server(futures.ThreadPoolExecutor(8))
    library_pb2_grpc.add_LibraryServicer_to_server(Library(options.branch), server)
    healths = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(f"127.0.0.1:{options.port}")
    server.start()
    for name in ["", SERVICE]:
        healths.set(name, health_pb2.HealthCheckResponse.SERVING)
    print(f"serving on 127.0.0.1:{port}", flush=True)

    stop = threading.Event()
    for number in [signal.SIGTERM, signal.SIGINT]:
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    healths.enter_graceful_shutdown()
    server.stop(GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
