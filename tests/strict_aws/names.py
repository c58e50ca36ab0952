"""AWS's own host names, over TLS, led to the emulator: a forward proxy for ``HTTPS_PROXY``.

So an environment without an emulator's address goes the very way that it goes on AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class AwsNames:
    """The proxy, and the authority that vouches for its certificates.

    Parameters
    ----------
    folder
        Where certificates are kept.
    port
        The emulator's.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._emulator = port
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._authority = self._certificate("strict AWS", self._key.public_key(), authority=True)
        self.authority_file = folder / "authority.pem"
        self.authority_file.write_bytes(self._authority.public_bytes(serialization.Encoding.PEM))
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What leads boto3 and Terraform here."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "AWS_CA_BUNDLE": str(self.authority_file),
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def close(self) -> None:
        """Stop listening."""

        async def stop() -> None:
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(stop(), self._loop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, address, _ = request.split(" ", 2)
            assert method == "CONNECT", request
            host = address.partition(":")[0]
            assert host.endswith((".amazonaws.com", ".cloudfront.net")), f"{host} is not of AWS"
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await writer.start_tls(self._context(host))
            there, back = await asyncio.open_connection("127.0.0.1", self._emulator)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))

    def _context(self, host: str) -> ssl.SSLContext:
        """Return what proves to be that host."""
        if host not in self._contexts:
            certificate = self._certificate(host, self._key.public_key())
            file = self._folder / f"{host}.pem"
            file.touch(mode=0o600)
            file.write_bytes(
                certificate.public_bytes(serialization.Encoding.PEM)
                + self._key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            self._contexts[host] = context
        return self._contexts[host]

    def _certificate(
        self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        issuer = "strict AWS"
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        if authority:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False,
                encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
            builder = builder.add_extension(identifier, critical=False)
        else:
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(issued_by, critical=False)
        return builder.sign(self._key, hashes.SHA256())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until one side has ended."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
