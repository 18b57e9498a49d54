"""The key pair with which a service account signs in, and the assertions it signs.

Salesforce: an assertion is a JSON web token signed with RS256; issuer is the consumer key, subject the user name, its
life minutes at most. The certificate that proves the key is uploaded into the customer's app; it need not be signed by
anybody. Key and certificate are kept together, encrypted; only the certificate is ever shown.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.utils import timezone

KEY_BITS = 2048
VALID_FOR = timedelta(days=3650)
LIFE_SECONDS = 170
"""Salesforce accepts three minutes in the narrowest reading of its guides; clocks differ by seconds."""
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def new_key_pair(name: str) -> str:
    """A private key and its self-signed certificate, valid for ten years, as one PEM text."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = timezone.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def certificate_of(pair: str) -> str:
    """The certificate alone, PEM: what may be shown. "" when there is none."""
    start = pair.find(_CERTIFICATE)
    return pair[start:] if start >= 0 else ""


def expires_on(pair: str) -> str:
    """The last day of the certificate, ISO; "" when there is none."""
    text = certificate_of(pair)
    return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.date().isoformat() if text else ""


def signed_assertion(pair: str, *, client_id: str, username: str, audience: str) -> str:
    """A JSON web token by which `username` signs in to the app `client_id`. `ValueError` for an unusable key."""
    key = serialization.load_pem_private_key(pair.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    claims = {"iss": client_id, "sub": username, "aud": audience, "exp": int(time.time()) + LIFE_SECONDS}
    signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_base64(signature)}"


def _encoded(part: dict[str, object]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
