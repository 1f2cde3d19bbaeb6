"""Answers leave in one piece, whatever kind they are of, and nothing of them stays behind."""

import asyncio

import pytest
import uvicorn

from serving.protocol import Protocol


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path, length = scope["path"], b"0" if scope["path"] == "/empty" else b"4"
    if path == "/asked":  # the client is told to go on with its body
        assert (await receive())["body"] == b"whole"
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/broken":
        raise RuntimeError("after the head")
    if path == "/parts":
        await send({"type": "http.response.body", "body": b"bo", "more_body": True})
    rest = {"/parts": b"dy", "/empty": b""}.get(path, b"body")
    await send({"type": "http.response.body", "body": rest})


def exchanged(*sent: bytes) -> list[bytes]:
    """What comes back, in the pieces in which it is read, after each thing that is sent over one
    connection; the last piece is empty where the server closes it."""

    async def run() -> list[bytes]:
        config = uvicorn.Config(app, http=Protocol, port=0, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        pieces = []
        for words in sent:
            writer.write(words)
            pieces.append(await asyncio.wait_for(reader.read(1 << 16), 60))
        writer.close()
        server.should_exit = True
        await serving
        return pieces

    return asyncio.run(run())


def request(path: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n".encode()


def test_head_and_body_come_together_and_the_connection_goes_on():
    first, second = exchanged(request("/"), request("/"))
    for piece in (first, second):
        assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
        assert piece.endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (request("/", "HEAD"), b"\r\n\r\n"),
        (request("/empty"), b"\r\n\r\n"),
        (request("/", more="connection: close\r\n"), b"\r\n\r\nbody"),
        (b"nonsense\r\n\r\n", b"Invalid HTTP request received."),
    ],
)
def test_an_answer_that_is_only_a_head_or_the_last_one_comes_too(words, end):
    (piece,) = exchanged(words)
    assert piece.startswith(b"HTTP/1.1 ")
    assert piece.endswith(end)


def test_requests_that_come_together_are_answered_one_after_the_other():
    last = request("/parts", more="connection: close\r\n")
    all_of_it = b"".join(exchanged(request("/") + last, b"", b""))
    assert all_of_it.count(b"\r\n\r\nbo") == 2
    assert all_of_it.endswith(b"dy")


def test_a_client_that_waits_for_it_is_told_to_go_on():
    more = "expect: 100-continue\r\ncontent-length: 5\r\n"
    told, answer = exchanged(request("/asked", "POST", more), b"whole")
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.endswith(b"\r\n\r\nbody")


def test_an_app_that_breaks_after_the_head_closes_the_connection():
    head, end = exchanged(request("/broken"), b"")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert end == b""
