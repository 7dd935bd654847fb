"""RFC 6962 trees against the vectors of the Certificate Transparency project, and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.store.merkle import (
    EMPTY_ROOT,
    SEGMENT_LEAVES,
    Frontier,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

INPUTS = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_vectors(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == root_of([]) == EMPTY_ROOT


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_vectors(index: int, size: int) -> None:
    proof = inclusion_proof(LEAVES[:size], index)
    assert tuple(node.hex() for node in proof) == INCLUSION[index, size]


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_vectors(old: int, size: int) -> None:
    proof = consistency_proof(LEAVES[:size], old)
    assert tuple(node.hex() for node in proof) == CONSISTENCY[old, size]


leaves = st.lists(st.integers(0, 255).map(lambda n: leaf_hash(bytes([n]))), max_size=80)


def defined_root(of: list[bytes]) -> bytes:
    """The root by the definition in the RFC, section 2.1."""
    if len(of) < 2:
        return of[0] if of else EMPTY_ROOT
    split = 1
    while split * 2 < len(of):
        split *= 2
    return node_hash(defined_root(of[:split]), defined_root(of[split:]))


@given(leaves, st.lists(st.integers(1, 9)))
def test_a_frontier_grown_in_any_steps_gives_the_defined_root(of, steps) -> None:
    frontier, done = Frontier(), 0
    for step in (*steps, len(of)):
        frontier.extend(of[done : done + step])
        done = min(done + step, len(of))
        assert frontier.size == done
        assert frontier.root() == defined_root(of[:done])
        again = Frontier.from_bytes(frontier.size, frontier.to_bytes())
        assert again.root() == frontier.root()


@given(leaves.filter(bool), st.data())
def test_a_proof_shows_its_leaf_and_no_other(of, data) -> None:
    index = data.draw(st.integers(0, len(of) - 1))
    proof, root = inclusion_proof(of, index), root_of(of)
    assert verify_inclusion(of[index], index, len(of), proof, root)
    other = leaf_hash(b"another")
    assert not verify_inclusion(other, index, len(of), proof, root)
    assert not verify_inclusion(of[index], index, len(of), [*proof, other], root)
    assert not verify_inclusion(of[index], len(of), len(of), proof, root)
    if proof:
        assert not verify_inclusion(of[index], index, len(of), proof[:-1], root)


@given(leaves.filter(bool), st.data())
def test_a_proof_shows_a_prefix_and_no_other(of, data) -> None:
    old = data.draw(st.integers(1, len(of)))
    proof, root, before = consistency_proof(of, old), root_of(of), root_of(of[:old])
    assert verify_consistency(old, before, len(of), root, proof)
    other = leaf_hash(b"another")
    assert not verify_consistency(old, other, len(of), root, proof)
    assert not verify_consistency(old, before, len(of), other, proof)
    assert not verify_consistency(old, before, len(of), root, [*proof, other])


@pytest.mark.parametrize("first", [1, SEGMENT_LEAVES - 1, SEGMENT_LEAVES, 3 * SEGMENT_LEAVES])
def test_a_segment_is_a_node_of_the_whole_tree(first: int) -> None:
    count = 3 * SEGMENT_LEAVES + 100
    of = [leaf_hash(number.to_bytes(4)) for number in range(count)]
    tree = Tree()
    roots = tree.extend(of[:first])
    tree = Tree.from_bytes(tree.size, tree.to_bytes())
    roots += tree.extend(of[first:])
    parts = [of[start : start + SEGMENT_LEAVES] for start in range(0, count, SEGMENT_LEAVES)]
    assert roots == [root_of(part) for part in parts[:3]]
    assert (tree.size, tree.root()) == (count, root_of(of))
    joined = root_of([*roots[:2]]), node_hash(roots[2], root_of(parts[3]))
    assert node_hash(*joined) == tree.root()


def test_what_cannot_be_proved_is_refused() -> None:
    with pytest.raises(ValueError, match="not one of"):
        inclusion_proof(LEAVES, 8)
    with pytest.raises(ValueError, match="no prefix"):
        consistency_proof(LEAVES, 9)
    with pytest.raises(ValueError, match="peaks"):
        Frontier(3, [LEAVES[0]])
    with pytest.raises(ValueError, match="whole number"):
        Frontier.from_bytes(1, b"short")
    assert not verify_consistency(0, EMPTY_ROOT, 8, root_of(LEAVES), [])
