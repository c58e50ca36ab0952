"""An OIDC provider that signs everybody in at once, as whoever the test says."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt

CLIENT = "console"


@dataclass
class Provider:
    """The provider, and the groups of whoever signs in next."""

    groups: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = jwk.construct(private, "RS256").public_key().to_dict()
        provider = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                if address.path == "/authorize":
                    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
                    self.send_response(302)
                    answer = urlencode({"code": asked["nonce"], "state": asked["state"]})
                    self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
                    self.end_headers()
                elif address.path == "/keys":
                    self.answer({"keys": [public | {"kid": "1", "use": "sig"}]})
                else:
                    self.answer(
                        {
                            "issuer": provider.url,
                            "authorization_endpoint": f"{provider.url}/authorize",
                            "token_endpoint": f"{provider.url}/token",
                            "jwks_uri": f"{provider.url}/keys",
                            "id_token_signing_alg_values_supported": ["RS256"],
                        }
                    )

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                claims = {
                    "iss": provider.url,
                    "aud": CLIENT,
                    "sub": "vera",
                    "email": "vera@example.com",
                    "cognito:groups": provider.groups,
                    "nonce": form["code"][0],
                    "iat": int(time.time()),
                    "exp": int(time.time()) + 600,
                }
                token = jwt.encode(claims, private, "RS256", headers={"kid": "1"})
                self.answer({"access_token": "none", "token_type": "Bearer", "id_token": token})

            def answer(self, body: dict[str, Any]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
