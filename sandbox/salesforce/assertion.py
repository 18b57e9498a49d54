"""Signed claims: the JWT bearer assertion that comes in, and the identity token that goes out.

Salesforce: RS256; issuer is the consumer key, subject the user name, audience the login host; a life of minutes. The
life is measured by the real clock, because the client's claims come from the client's clock."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .oauth import OAuthError, invalid_grant
from .tenant import Tenant

LONGEST_LIFE = 300.0


def read_assertion(text: str, by_client: Mapping[str, Tenant], audiences: Collection[str]) -> tuple[Tenant, str]:
    """(org, user name) of a JWT that holds; OAuthError otherwise."""
    head, claims, signed, signature = _parts(text)
    if head.get("alg") != "RS256":
        raise invalid_grant("invalid assertion")
    tenant = by_client.get(str(claims.get("iss")))
    if tenant is None:
        raise OAuthError("invalid_client_id", "client identifier invalid")
    _check_signature(tenant.app.policies.certificate, signed, signature)
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(str(name).rstrip("/") in audiences for name in named):
        raise invalid_grant("audience is invalid")
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not 0 < expires - time.time() <= LONGEST_LIFE:
        raise invalid_grant("invalid assertion")
    return tenant, str(claims.get("sub", ""))


def _parts(text: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    try:
        head, claims, signature = text.split(".")
        found = json.loads(_decoded(head)), json.loads(_decoded(claims))
        if isinstance(found[0], dict) and isinstance(found[1], dict):
            return found[0], found[1], f"{head}.{claims}".encode(), _decoded(signature)
    except (ValueError, binascii.Error):
        pass
    raise invalid_grant("invalid assertion")


def _check_signature(pem: str, signed: bytes, signature: bytes) -> None:
    try:
        key = _public_key(pem)
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        raise invalid_grant("invalid assertion") from None


def _public_key(pem: str) -> rsa.RSAPublicKey:
    """The key of a certificate or of a bare public key; ValueError when the text is neither."""
    raw = pem.encode()
    key: Any
    if b"BEGIN CERTIFICATE" in raw:
        key = x509.load_pem_x509_certificate(raw).public_key()
    else:
        key = serialization.load_pem_public_key(raw)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def encoded(raw: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@lru_cache(maxsize=1)
def _signing_key() -> rsa.RSAPrivateKey:
    """Made when first needed: it takes a moment."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def sign(claims: Mapping[str, Any]) -> str:
    """An identity token."""
    head = {"alg": "RS256", "typ": "JWT", "kid": "sandbox"}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, dict(claims)))
    signature = _signing_key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encoded(signature)}"


def public_keys() -> dict[str, Any]:
    """The key set with which identity tokens are verified."""
    numbers = _signing_key().public_key().public_numbers()
    entry = {name: encoded(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in _named(numbers)}
    return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "sandbox", **entry}]}


def _named(numbers: rsa.RSAPublicNumbers) -> list[tuple[str, int]]:
    return [("n", numbers.n), ("e", numbers.e)]
