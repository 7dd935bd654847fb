"""Verify an export of the ledger with nothing but this file, Python and `cryptography`.

    portcullis event export --evidence > EXPORT        (where the ledger is)
    python independent_verifier.py EXPORT ledger.pub   (anywhere, without Portcullis)

EXPORT is a text of JSON lines. A line with `position` is an event: its columns as they are stored,
`payload`, `previous` and `hash` in hexadecimal. A line with `checkpoint` is a signed note that
states the RFC 6962 root over all events so far. A line with `base` stands where a ledger begins
whose older events are in the archive, or between an export of those and the ledger's own. Checked
is that each hash is over all of its event, that each stream is one chain without a gap, that every
checkpoint is signed by the key and states the root of the events before it, and that the newest
one is behind the last event. Nothing between two checkpoints can be altered, left out or added
without one of these failing. What no file shows is a ledger cut or written anew by who holds the
private key: compare the newest checkpoint with one that was kept elsewhere (`--expect NOTE`).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIXED = struct.Struct(">cQQqIIIII")
FIRST = (0, bytes(32))


class Broken(Exception):
    """The export does not hold; says where and why."""


class Root:
    """The RFC 6962 root over leaves that come one after the other."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self._peaks: list[bytes] = list(peaks)
        if len(self._peaks) != size.bit_count():
            raise ValueError(f"{len(self._peaks)} peaks cannot stand for {size} events")

    def add(self, leaf: bytes) -> None:
        size, node = self.size, leaf
        while size & 1:
            node = hashlib.sha256(b"\x01" + self._peaks.pop() + node).digest()
            size >>= 1
        self._peaks.append(node)
        self.size += 1

    def value(self) -> bytes:
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root


class Key:
    """The public key of a ledger, in its text form `name+id+key`."""

    def __init__(self, line: str) -> None:
        self.name, key_id, key = line.strip().split("+", 2)
        raw = base64.b64decode(key, validate=True)
        self._id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        if raw[:1] != b"\x01" or self._id.hex() != key_id:
            raise ValueError("this is no public key of a ledger")
        self._public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def statement(self, note: str) -> tuple[int, bytes]:
        """Position and root of a signed checkpoint; raises Broken unless this key signed it."""
        text, _, signatures = note.rpartition("\n\n")
        for line in signatures.splitlines():
            dash, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            if dash != "\N{EM DASH}" or name != self.name:
                continue
            blob = base64.b64decode(encoded)
            try:
                self._public.verify(blob[4:], (text + "\n").encode())
            except InvalidSignature:
                continue
            origin, position, root = text.split("\n")[:3]
            if blob[:4] == self._id and origin == self.name:
                return int(position), base64.b64decode(root)
        raise Broken("a checkpoint is not signed by this key")


def event_hash(event: dict[str, Any]) -> bytes:
    """The hash over every column of an event, each with its length."""
    stream, kind, trace = (event[name].encode() for name in ("stream", "kind", "trace"))
    payload, previous = bytes.fromhex(event["payload"]), bytes.fromhex(event["previous"])
    numbers = (event["position"], event["seq"], event["at"], event["version"])
    lengths = (len(stream), len(kind), len(trace), len(payload))
    fixed = FIXED.pack(b"\0", *numbers, *lengths)
    return hashlib.sha256(b"".join((fixed, stream, kind, trace, payload, previous))).digest()


def verify(lines: Iterable[str], key: Key, expected: str | None = None) -> tuple[int, int]:
    """How many events and checkpoints hold. Raises Broken at the first that does not."""
    root, ends, noted, checkpoints = Root(), dict[str, tuple[int, bytes]](), 0, 0
    wanted = None if expected is None else key.statement(expected)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if "base" in row:
                root, ends = _base(row["base"], key, root, ends)
                noted, checkpoints = root.size, checkpoints + 1
            elif "checkpoint" in row:
                noted, checkpoints = _checkpoint(row["checkpoint"], key, root), checkpoints + 1
                wanted = None if wanted == (noted, root.value()) else wanted
            else:
                _event(row, root, ends)
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise Broken(f"line {number} is no event and no checkpoint: {error}") from error
    if not checkpoints:
        raise Broken("there is no checkpoint in it: nothing of it is signed")
    if noted != root.size:
        raise Broken(f"no checkpoint states the events after {noted}: the end is missing")
    if wanted is not None:
        raise Broken(f"the checkpoint kept elsewhere, at {wanted[0]}, is not this ledger's past")
    return root.size, checkpoints


def _base(
    base: dict[str, Any], key: Key, root: Root, ends: dict[str, tuple[int, bytes]]
) -> tuple[Root, dict[str, tuple[int, bytes]]]:
    """Where a ledger begins whose older events are elsewhere: signed is the root over those."""
    data = bytes.fromhex(base["peaks"])
    found = Root(base["position"], [data[i : i + 32] for i in range(0, len(data), 32)])
    if key.statement(base["checkpoint"]) != (found.size, found.value()):
        raise Broken(f"the base at event {found.size} is not what was signed")
    told = {name: (seq, bytes.fromhex(hash_)) for name, (seq, hash_) in base["streams"].items()}
    if root.size and (root.size, root.value(), ends) != (found.size, found.value(), told):
        raise Broken(f"the ledger does not go on where the {root.size} events before it end")
    return found, told


def _event(event: dict[str, Any], root: Root, ends: dict[str, tuple[int, bytes]]) -> None:
    position, stream = event["position"], event["stream"]
    if position != root.size + 1:
        raise Broken(f"event {root.size + 1} is missing: {position} follows {root.size}")
    found = event_hash(event)
    if found.hex() != event["hash"]:
        raise Broken(f"event {position} was altered: its hash is of something else")
    seq, previous = ends.get(stream, FIRST)
    if event["seq"] != seq + 1 or bytes.fromhex(event["previous"]) != previous:
        raise Broken(f"event {position} does not follow the one before it in {stream}")
    ends[stream] = event["seq"], found
    root.add(found)


def _checkpoint(note: str, key: Key, root: Root) -> int:
    position, stated = key.statement(note)
    if position != root.size:
        raise Broken(f"a checkpoint of event {position} stands behind event {root.size}")
    if stated != root.value():
        raise Broken(f"the events up to {position} are not those that were signed")
    return position


def main() -> int:
    """The command line: 0 when the export holds, 1 when not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="portcullis-verify", description=__doc__.split("\n")[0])
    parser.add_argument("export", help="what `portcullis event export --evidence` wrote")
    parser.add_argument("key", help="the file of the public key, ledger.pub")
    parser.add_argument("--expect", help="a file with a checkpoint that was kept elsewhere")
    arguments = parser.parse_args()
    try:
        key = Key(Path(arguments.key).read_text(encoding="utf-8"))
        expected = Path(arguments.expect).read_text(encoding="utf-8") if arguments.expect else None
        with Path(arguments.export).open(encoding="utf-8") as lines:
            events, checkpoints = verify(lines, key, expected)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"portcullis-verify: {error}\n")
        return 2
    except Broken as error:
        sys.stdout.write(f"does not hold: {error}\n")
        return 1
    sys.stdout.write(f"holds: {events} events, {checkpoints} checkpoints of {key.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
