"""The API's certificate as the settings name it: for whom, until when, and whether its key fits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from portcullis.config.settings import Settings
from portcullis.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - addresses to compare with, nothing is bound here
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Certificate(NamedTuple):
    """`names`: whom it is for; times in microseconds, `expires_at` of the chain's shortest."""

    names: tuple[str, ...]
    begins_at: int
    expires_at: int
    der: bytes

    def is_for(self, name: str) -> bool:
        """Whether a client that calls it so accepts it; a star stands for one part of a name."""
        wanted = name.lower()
        first, _, rest = wanted.partition(".")
        return any(
            held in (wanted, f"*.{rest}" if first and rest and not _is_address(wanted) else wanted)
            for held in (each.lower() for each in self.names)
        )


def read_certificate(settings: Settings) -> Certificate | None:
    """The certificate for TLS; None where the API speaks plainly. Raises UsageError for files that
    cannot be read, and for a key that is another's.
    """
    named = (settings.api_certificate, settings.api_certificate_key)
    if not any(named):
        return None
    if not all(named):
        raise UsageError(
            "TLS needs a certificate and its key",
            remedy="set both PORTCULLIS_API_CERTIFICATE and PORTCULLIS_API_CERTIFICATE_KEY",
        )
    chain_file, key_file = (Path(name).expanduser() for name in named)
    chain = _chain(chain_file)
    if _public(_key_of(key_file)) != _public(chain[0]):
        raise UsageError(
            f"{key_file} is not the key of {chain_file}",
            remedy="name the key that the certificate was made for; the own certificate is first",
        )
    return Certificate(
        _names(chain[0]),
        max(_at(each.not_valid_before_utc) for each in chain),
        min(_at(each.not_valid_after_utc) for each in chain),
        chain[0].public_bytes(Encoding.DER),
    )


def names_called(settings: Settings) -> Sequence[str]:
    """The names that the API is called by from elsewhere."""
    listed = (settings.api_host, *settings.api_name_list)
    return [name for name in listed if name not in (*LOOPBACK, *EVERYWHERE)]


def _chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(path))
    except ValueError as error:
        raise UsageError(
            f"{path}: this is no certificate in PEM form", remedy="name the chain's file (PEM)"
        ) from error


def _key_of(path: Path) -> object:
    try:
        return load_pem_private_key(_bytes(path), None)
    except (ValueError, TypeError) as error:
        what = "it is encrypted" if isinstance(error, TypeError) else "it is no key in PEM form"
        raise UsageError(
            f"{path}: {what}", remedy="name a private key (PEM) without a password, mode 600"
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", remedy="name a file that the API can read"
        ) from error


def _public(held: object) -> bytes:
    """The public half of a certificate or a key."""
    found = held.public_key()  # type: ignore[attr-defined]
    return bytes(found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(each) for each in held.get_values_for_type(x509.IPAddress))
    return (*held.get_values_for_type(x509.DNSName), *addresses)


def _at(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
