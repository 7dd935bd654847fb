"""RFC 6962 Merkle trees: an append-only frontier, inclusion proofs and consistency proofs.

Leaves are given as leaf hashes (`leaf_hash` of the leaf's bytes). The frontier keeps only the roots
of the full subtrees, so appending costs one hash on average and the root of n leaves at most
log2(n); proofs need the leaf hashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
SEGMENT_LEAVES = 8_192
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: `peaks` are its full subtrees' roots, largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)
        if len(self.peaks) != size.bit_count():
            raise ValueError(f"{len(self.peaks)} peaks cannot stand for {size} leaves")

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order; level by level, so that many cost little more than hashing."""
        level = list(leaves)
        size = self.size
        self.size += len(level)
        left_over: list[bytes] = []
        while level:
            if size & 1:  # a full subtree of this height waits for its right-hand neighbour
                level.insert(0, self.peaks.pop())
            if len(level) & 1:
                left_over.append(level.pop())
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            size >>= 1
        self.peaks.extend(reversed(left_over))

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        """The peaks in one string; with the size it is the whole frontier."""
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """The inverse of `to_bytes`; raises ValueError where size and data do not agree."""
        if len(data) % HASH_BYTES:
            raise ValueError(f"{len(data)} bytes are not a whole number of hashes")
        return cls(size, (data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)))


class Tree:
    """A growing tree that seals its subtrees of `SEGMENT_LEAVES` leaves as they fill.

    Because the size is a power of two, a segment's root is a node of the whole tree: sealing costs
    no hash, and a proof within a segment goes on through the segments to the whole.
    """

    __slots__ = ("_open", "_sealed")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """From the frontier of the whole; raises ValueError where size and peaks disagree."""
        full, rest = divmod(size, SEGMENT_LEAVES)
        self._sealed = Frontier(full, peaks[: full.bit_count()])
        self._open = Frontier(rest, peaks[full.bit_count() :])

    @property
    def size(self) -> int:
        return self._sealed.size * SEGMENT_LEAVES + self._open.size

    def extend(self, leaves: Sequence[bytes]) -> list[bytes]:
        """Add leaf hashes in order; the answer is the roots of the segments they filled."""
        roots = []
        start = 0
        while start < len(leaves):
            part = leaves[start : start + SEGMENT_LEAVES - self._open.size]
            start += len(part)
            self._open.extend(part)
            if self._open.size == SEGMENT_LEAVES:
                roots += self._open.peaks
                self._sealed.extend(self._open.peaks)
                self._open = Frontier()
        return roots

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return Frontier(self.size, [*self._sealed.peaks, *self._open.peaks]).root()

    def to_bytes(self) -> bytes:
        """The peaks in one string; with the size it is the whole frontier."""
        return self._sealed.to_bytes() + self._open.to_bytes()

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Tree:
        """The inverse of `to_bytes`; raises ValueError where size and data do not agree."""
        return cls(size, Frontier.from_bytes(size, data).peaks)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` (from 0) to the root, lowest first."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"leaf {index} is not one of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root_of(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root_of(leaves[:split])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The hashes that show the tree of the first `old_size` leaves to be a prefix of this one."""
    if not 0 < old_size <= len(leaves):
        raise ValueError(f"a tree of {old_size} is no prefix of one of {len(leaves)}")
    return _consistency(leaves, old_size, whole=True)


def _consistency(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    """`whole`: the old tree is this very subtree, whose root the verifier already has."""
    if old_size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        proof = _consistency(leaves[:split], old_size, whole=whole)
        return [*proof, root_of(leaves[split:])]
    proof = _consistency(leaves[split:], old_size - split, whole=False)
    return [*proof, root_of(leaves[:split])]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `leaf` is leaf `index` (from 0) of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:  # a right edge without siblings: climb to where one is
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `size` leaves begins with the tree of `old_size` leaves."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == old_root and new == root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
