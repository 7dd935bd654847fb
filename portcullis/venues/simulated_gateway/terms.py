"""The terms of the simulated gateway: every dialect, and what is not known of the real one."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.model import HOUR, SECOND


class GatewayTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a gateway; times in microseconds. Unknown of the real one are `window`,
    `duplicate_tags` and whether `has_query`.

    - `token_life`: how long a token holds;
    - `limit`, `bars_limit`: requests in a minute, and for bars in 30 s; `window` says how counted;
    - `brackets`: with `position` an order that brings its own is rejected, with an id;
    - `has_query`: whether `Order/v2/query` is there, the one list with suspended orders;
    - `duplicate_tags`: what becomes of a second order with a customTag;
    - `wrapped`, `nulls`, `batches`, `partial_quotes`, `digits`: how the hubs speak.
    """

    token_life: int = 24 * HOUR
    limit: int = 200
    bars_limit: int = 50
    window: Literal["sliding", "fixed"] = "sliding"
    brackets: Literal["auto_oco", "position"] = "auto_oco"
    has_query: bool = True
    duplicate_tags: Literal["accepted", "refused"] = "accepted"
    wrapped: bool = True
    nulls: Literal["omitted", "kept"] = "omitted"
    batches: bool = True
    partial_quotes: bool = True
    digits: Literal[6, 7] = 7
    keep_alive: int = 15 * SECOND
    client_timeout: int = 30 * SECOND
    handshake_within: int = 15 * SECOND
