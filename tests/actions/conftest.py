from __future__ import annotations

import datetime as dt
import ssl
import threading
from socket import create_server
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .receiver import trickle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SelfSigned(NamedTuple):
    port: int
    certificate: Path
    got_a_request: threading.Event
    was_cut: threading.Event


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[SelfSigned]:
    """A TLS server that nobody vouches for; its answers never end."""
    pem = tmp_path / "server.pem"
    pem.write_bytes(_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    got_a_request, was_cut = threading.Event(), threading.Event()
    with create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection = listener.accept()[0]
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    if wrapped.recv(1):
                        got_a_request.set()
                        trickle()(wrapped)
            except OSError:
                connection.close()
                was_cut.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield SelfSigned(listener.getsockname()[1], pem, got_a_request, was_cut)
        thread.join(5)


def _certificate() -> bytes:
    """A key and a certificate for localhost that it signed itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain) + made.public_bytes(serialization.Encoding.PEM)
    )
