"""Who may reach the API by its settings, judged before anything listens."""

from __future__ import annotations

import re

from portcullis.config.certificate import LOOPBACK, Certificate, read_certificate
from portcullis.config.settings import Settings
from portcullis.errors import UsageError

_ORIGIN = re.compile(r"https?://[^\s/?#@*]+")
_NAME = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")


def refuse_exposed(settings: Settings) -> Certificate | None:
    """The certificate for TLS; None where the API speaks plainly, on loopback alone.

    Raises UsageError where keys would go over a network in clear, for a certificate that cannot be
    used, and for names and origins that no browser ever sends.
    """
    certificate = read_certificate(settings)
    if certificate is None and settings.api_host not in LOOPBACK:
        raise UsageError(
            f"keys would go to {settings.api_host} in clear",
            remedy="set PORTCULLIS_API_CERTIFICATE and PORTCULLIS_API_CERTIFICATE_KEY",
        )
    for origin in settings.api_origin_list:
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"PORTCULLIS_API_ORIGINS: {origin!r} is no origin",
                remedy="give scheme and host, without a path, as https://board.example",
            )
    for name in settings.api_name_list:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"PORTCULLIS_API_NAMES: {name!r} is no host name",
                remedy="give names alone, without scheme and port, as board.example",
            )
    return certificate
