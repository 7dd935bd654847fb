"""Signed notes and checkpoints: their text form, and what is refused."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portcullis.store.anchors import add_anchor, read_anchors
from portcullis.store.note import Checkpoint, Signer, Verifier

ORIGIN = "portcullis/0011223344556677"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STATED = Checkpoint(ORIGIN, 12, sha256(b"root").digest(), 99)


def note_of(stated: Checkpoint) -> str:
    return SIGNER.verifier.note(stated.text(), SIGNER.sign(stated.text()))


def test_a_checkpoint_has_the_form_of_the_specification() -> None:
    origin, size, root, extension, empty, line, end = note_of(STATED).split("\n")
    assert (origin, size, extension, empty, end) == (ORIGIN, "12", "at 99", "", "")
    assert base64.b64decode(root) == STATED.root
    dash, name, blob = line.split(" ")
    assert (dash, name) == ("\u2014", ORIGIN)
    public = base64.b64decode(SIGNER.verifier.line.split("+", 2)[2])
    assert public[:1] == b"\x01"  # the algorithm: Ed25519
    key_id = sha256(ORIGIN.encode() + b"\n" + public).digest()[:4]
    assert base64.b64decode(blob)[:4] == key_id
    assert len(base64.b64decode(blob)) == 4 + 64


def test_what_was_signed_is_read_back() -> None:
    verifier = Verifier.parse(SIGNER.verifier.line + "\n")
    assert Checkpoint.parse(verifier.open(note_of(STATED))) == STATED


def test_other_signatures_beside_ours_do_no_harm() -> None:
    note = note_of(STATED) + "\u2014 witness.example AAAAAGZvcmVpZ24=\n"
    assert SIGNER.verifier.open(note) == STATED.text()


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n12\n", "\n13\n"),
        lambda note: note.replace("at 99", "at 98"),
        lambda note: note.replace(ORIGIN, "portcullis/ffff"),
        lambda note: note.rsplit("\n\n", 1)[0] + "\n\n",
        lambda note: note.split("\n\n", maxsplit=1)[0],
        lambda note: note[:-10] + "AAAAAAAAA\n",
        lambda note: note.replace("\u2014 ", "- "),
        lambda note: "",
    ],
)
def test_a_changed_note_is_refused(change) -> None:
    with pytest.raises(ValueError, match=r"signature|signed note"):
        SIGNER.verifier.open(change(note_of(STATED)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\nb\nc\nd\n",
        STATED.text() + "more\n",
        STATED.text().replace("\n12\n", "\n012\n"),
        STATED.text().replace("at 99", "at  99"),
        STATED.text().replace("at 99", "99"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several parsers, one answer
        Checkpoint.parse(text)


@pytest.mark.parametrize("line", ["", "name", "name+00000000+AAAA", "name+00+%%%", "a+b+c+d"])
def test_what_is_no_public_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Verifier.parse(line)


def test_anchors_are_read_back_without_a_torn_one(tmp_path) -> None:
    notes = [note_of(STATED._replace(position=n)) for n in (1, 2, 3)]
    for number, note in enumerate(notes):
        add_anchor(tmp_path, number, note)
    file = tmp_path / "anchors"
    assert read_anchors(file) == notes
    whole = file.read_bytes()
    for torn in range(1, len(notes[0].encode()) + 1):
        file.write_bytes(whole[:-torn])
        assert read_anchors(file) == notes[:2]
        add_anchor(tmp_path, 4, notes[0])
        assert read_anchors(file) == [*notes[:2], notes[0]]


def test_a_full_file_of_anchors_is_put_aside(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("portcullis.store.anchors.ANCHORS_BYTES", 100)
    for number in (1, 2, 3):
        add_anchor(tmp_path, number, note_of(STATED._replace(position=number)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anchors", "anchors.2", "anchors.3"]
