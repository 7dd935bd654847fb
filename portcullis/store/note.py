"""Signed statements: C2SP signed notes and tlog checkpoints, with Ed25519.

A checkpoint is a text of lines (origin, number of events, base64 root, then `at <microseconds>` as
an extension line), an empty line, and a signature line. Anybody with the public key, one line of
text too, can check it with tools that know the format.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from portcullis.ports import Snapshot

_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "


class Checkpoint(NamedTuple):
    """What a checkpoint states: after the event at `position`, dated `at`, this was the root."""

    origin: str
    position: int
    root: bytes
    at: int

    def text(self) -> str:
        """The lines that are signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.position}\n{root}\nat {self.at}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The inverse of `text`; raises ValueError on anything else."""
        origin, position, root, at, end = text.split("\n")
        if end or not at.startswith("at "):
            raise ValueError("these lines are not a checkpoint of a ledger")
        found = cls(origin, int(position), base64.b64decode(root, validate=True), int(at[3:]))
        if found.text() != text:
            raise ValueError("a checkpoint has one spelling, and this is another")
        return found


def position_of(note: str) -> int:
    """The position that a note states, whoever signed it; raises ValueError where it is none."""
    return Checkpoint.parse(note.partition("\n\n")[0] + "\n").position


def segment_text(origin: str, number: int, first: int, last: int, root: bytes) -> str:
    """What is signed when a segment is sealed."""
    return f"{origin}\nsegment {number}\n{first} {last}\n{base64.b64encode(root).decode()}\n"


def snapshot_text(origin: str, snapshot: Snapshot) -> str:
    """What is signed when a snapshot is kept."""
    position, taken_at, version, state = snapshot
    return f"{origin}\nsnapshot {position}\n{taken_at} {version}\n{sha256(state).hexdigest()}\n"


class Verifier:
    """Checks signatures of one public key. `line` is its text form: name+id+key."""

    def __init__(self, name: str, public: bytes) -> None:
        self.name = name
        self._public = Ed25519PublicKey.from_public_bytes(public)
        self._id = sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]
        key = base64.b64encode(_ED25519 + public).decode()
        self.line = f"{name}+{self._id.hex()}+{key}"

    @classmethod
    def parse(cls, line: str) -> Verifier:
        """Raises ValueError where `line` is not a public key in the form of `line`."""
        name, key_id, key = line.strip().split("+", 2)
        raw = base64.b64decode(key, validate=True)
        if raw[:1] != _ED25519:
            raise ValueError("not an Ed25519 key")
        verifier = cls(name, raw[1:])
        if verifier._id.hex() != key_id:
            raise ValueError("the key does not match its own id")
        return verifier

    def holds(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `text`."""
        try:
            self._public.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True

    def open(self, note: str) -> str:
        """The signed text of a note; raises ValueError unless this key signed it."""
        text, gap, signatures = note.rpartition("\n\n")
        if not gap:
            raise ValueError("not a signed note")
        for line in signatures.splitlines():
            name, _, encoded = line.removeprefix(_DASH).partition(" ")
            if not line.startswith(_DASH) or name != self.name:
                continue
            try:
                blob = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                continue
            if blob[:4] == self._id and self.holds(text + "\n", blob[4:]):
                return text + "\n"
        raise ValueError(f"no valid signature of {self.name}")

    def note(self, text: str, signature: bytes) -> str:
        """`text` (ending in a newline) with its signature line."""
        blob = base64.b64encode(self._id + signature).decode()
        return f"{text}\n{_DASH}{self.name} {blob}\n"


class Signer:
    """Signs in the name of one ledger; `verifier` is the public half."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = serialization.Encoding.Raw
        public = private.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
        self.verifier = Verifier(name, public)

    def sign(self, text: str) -> bytes:
        """64 bytes over `text`."""
        return self._private.sign(text.encode())
