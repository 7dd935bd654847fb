"""The hub protocol's records and messages."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.errors import VenueUnreachable
from portcullis.venues.projectx import signalr


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\x1e" not in b)), st.data())
def test_records_do_not_depend_on_frames(records, data):
    stream = b"".join(record + signalr.END for record in records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    edges = [0, *cuts, len(stream)]
    reader = signalr.Records()
    found = [
        record
        for start, end in itertools.pairwise(edges)
        for record in reader.feed(stream[start:end])
    ]
    assert found == records


def test_a_record_without_end_is_no_reason_to_eat_all_memory(monkeypatch):
    monkeypatch.setattr(signalr, "BUFFER_MAX", 10)
    reader = signalr.Records()
    reader.feed(b"0123456789")
    with pytest.raises(VenueUnreachable, match="no end"):
        reader.feed(b"0")


def test_an_event_keeps_its_arguments_as_they_came():
    record = b'{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.EP.Z26",{"bestBid":1.10}]}'
    message = signalr.message_of(record)
    assert isinstance(message, signalr.Invocation)
    assert (message.target, message.invocation_id) == ("GatewayQuote", None)
    assert [bytes(each) for each in message.arguments] == [
        b'"CON.F.US.EP.Z26"',
        b'{"bestBid":1.10}',
    ]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"type":3,"invocationId":"7"}', signalr.Completion("7")),
        (b'{"type":3,"invocationId":"7","result":{"a":1}}', signalr.Completion("7")),
        (b'{"type":3,"invocationId":"7","error":"no"}', signalr.Completion("7", "no")),
        (b'{"type":6}', signalr.Ping()),
        (b'{"type":7,"error":"gone","allowReconnect":true}', signalr.Close("gone", True)),
        (b'{"type":7}', signalr.Close()),
    ],
)
def test_messages(record, expected):
    assert signalr.message_of(record) == expected


@pytest.mark.parametrize("record", [b"", b"<html>", b"{}", b'{"type":99}', b'{"type":"1"}', b"[1]"])
def test_what_is_no_message_is_a_connection_that_cannot_be_trusted(record):
    with pytest.raises(VenueUnreachable, match="no message of its protocol"):
        signalr.message_of(record)


def test_the_handshake_is_taken_or_refused():
    signalr.shake(b"{}")
    with pytest.raises(VenueUnreachable, match="refused the handshake: version"):
        signalr.shake(b'{"error":"version"}')
    with pytest.raises(VenueUnreachable, match="no message"):
        signalr.shake(b"<html>")


def test_a_call_names_itself_so_that_a_refusal_is_heard():
    record = signalr.call(3, "SubscribeOrders", 26282486)
    (whole,) = signalr.Records().feed(record)
    assert msgspec.json.decode(whole) == {
        "type": 1,
        "invocationId": "3",
        "target": "SubscribeOrders",
        "arguments": [26282486],
    }
