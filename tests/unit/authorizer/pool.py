"""A user pool that signs whatever a test, or an attacker, asks for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authorizer.settings import Settings

POOL_ID = "eu-west-1_TestPool1"
ISSUER = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL_ID}"
CLIENT_ID = "4h1example23client45id"
SUB = "0f8fad5b-d9cb-469f-a165-70867728950e"
SETTINGS = Settings(
    issuers=(ISSUER,), client_ids=(CLIENT_ID,), jwks_url=f"{ISSUER}/.well-known/jwks.json"
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(value: dict[str, Any] | bytes) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    n = key.public_key().public_numbers().n
    n_bytes = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(n_bytes), "e": "AQAB"}


@dataclass(frozen=True)
class Pool:
    """One signing key; `claims` and `token` give what Cognito would, but for the changes named."""

    kid: str = "Lx8vP2mExampleKeyId0123456789abcdefghijklm4="
    key: rsa.RSAPrivateKey = field(default_factory=new_key)

    def jwks(self) -> bytes:
        return json.dumps({"keys": [jwk(self.key, self.kid)]}).encode()

    def public_key(self, encoding: Encoding) -> bytes:
        return self.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    def header(self, **changes: Any) -> dict[str, Any]:
        return _changed({"kid": self.kid, "alg": "RS256"}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "sub": SUB,
            "cognito:groups": ["members"],
            "iss": ISSUER,
            "client_id": CLIENT_ID,
            "origin_jti": "7d4c3f0e-6f0b-4a5e-8c2d-000000000001",
            "event_id": "7d4c3f0e-6f0b-4a5e-8c2d-000000000002",
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "auth_time": now,
            "exp": now + 3600,
            "iat": now,
            "jti": "7d4c3f0e-6f0b-4a5e-8c2d-000000000003",
            "username": "ada",
        }
        return _changed(claims, changes)

    def token(
        self, header: dict[str, Any] | bytes | None = None, claims: dict[str, Any] | bytes = b""
    ) -> str:
        """Sign with the pool's key, whatever the header says."""
        signing_input = f"{segment(header or self.header())}.{segment(claims or self.claims())}"
        signature = self.key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{b64(signature)}"

    def hmac_token(self, alg: str, secret: bytes) -> str:
        """Sign with a secret that everybody knows."""
        signing_input = f"{segment(self.header(alg=alg))}.{segment(self.claims())}"
        return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def _changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Apply the changes; None takes a member away, and `__` in a name stands for a colon."""
    members |= {name.replace("__", ":"): value for name, value in changes.items()}
    return {name: value for name, value in members.items() if value is not None}
