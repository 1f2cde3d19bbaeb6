"""Local servers that speak what the senders speak: a webhook, Google's and Apple's."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import hypercorn.config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


@dataclass
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    http: str


@dataclass
class Receiver:
    """Keeps what came in, and answers what the test says (status, body, headers)."""

    url: str
    answer: Callable[[Request], tuple[int, Any, dict[str, str]]]
    requests: list[Request] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Request(scope["path"], headers, body, scope["http_version"])
        self.requests.append(request)
        status, content, more = self.answer(request)
        pairs = [(name.encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def ok(request: Request) -> tuple[int, Any, dict[str, str]]:
    return 200, {}, {}


@contextmanager
def listening(
    answer: Callable[[Request], tuple[int, Any, dict[str, str]]] = ok,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Receiver]:
    """A receiver on a port of its own; over HTTP/2 and TLS with a certificate and its key."""
    # From here on nobody else gets the port, and whoever asks early waits.
    bound = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = bound.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind, config.loglevel = [f"fd://{bound.detach()}"], "CRITICAL"
    config.graceful_timeout, config.shutdown_timeout = 0.1, 0.1
    if certificate is not None:
        config.certfile, config.keyfile = (str(path) for path in certificate)
        config.alpn_protocols = ["h2"]
    receiver = Receiver(f"{'https' if certificate else 'http'}://127.0.0.1:{port}", answer)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = hypercorn.asyncio.serve(receiver, config, shutdown_trigger=stop.wait)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def pem(key: Any) -> str:
    """A private key as text."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def self_signed(path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (path / "key.pem").write_text(pem(key))
    return path / "cert.pem", path / "key.pem"


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client needs to trust it."""
    return ssl.create_default_context(cafile=str(certificate))


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    """Made once: it takes a second."""
    return rsa.generate_private_key(65537, 2048)


def service_account(path: Path, url: str) -> tuple[Path, Any]:
    """A Google service account's file whose tokens come from `url`, and its public key."""
    key = _rsa_key()
    account = {
        "project_id": "shop", "client_email": "push@shop.iam", "private_key": pem(key),
        "token_uri": f"{url}/token",
    }  # fmt: skip
    (path / "account.json").write_text(json.dumps(account))
    return path / "account.json", key.public_key()


def apple_key(path: Path) -> tuple[Path, Any]:
    """Apple's signing key in a file, and its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    (path / "key.p8").write_text(pem(key))
    return path / "key.p8", key.public_key()
