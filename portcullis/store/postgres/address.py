"""Where a server is, as a person wrote it; its password is never shown."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

from portcullis.errors import ConfigError

SCHEMES = ("postgresql://", "postgres://")
CONNECT_SECONDS = 5
KEEP_ALIVE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A server that is gone without a word is noticed within half a minute."""

_SETTING = "PORTCULLIS_STORE_URL"


class Address:
    """A database of a server. `str()` has no password in it."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError, without showing it, for what is no address."""
        if not url.startswith(SCHEMES):
            raise ConfigError((f"  environment: {_SETTING}: it must begin with {SCHEMES[0]}",))
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            fault = f"  environment: {_SETTING}: this is no address of a server (a secret)"
            raise ConfigError((fault,)) from None
        found = {"connect_timeout": str(CONNECT_SECONDS), **KEEP_ALIVE, **given}
        self.parameters: Mapping[str, str] = {key: str(value) for key, value in found.items()}

    def __str__(self) -> str:
        part = self.parameters.get
        user, host = part("user"), part("host", part("hostaddr", "localhost"))
        port = f":{part('port')}" if part("port") else ""
        return f"postgresql://{f'{user}@' if user else ''}{host}{port}/{part('dbname', '')}"
