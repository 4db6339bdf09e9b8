"""What one end of the engine's socket writes, the other reads."""

from hypothesis import given
from hypothesis import strategies as st

from biometrics.engine.wire import LENGTHS, Message, decode, encode

VALUES = st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text())


@given(st.integers(0), st.text(), VALUES, st.lists(st.binary()))
def test_a_message_round_trips(
    call: int, verb: str, values: dict[str, int | float | str], parts: list[bytes]
) -> None:
    message = Message(call, verb, values, parts)
    data = encode(message)
    header, body = LENGTHS.unpack(data[: LENGTHS.size])
    rest = data[LENGTHS.size :]
    assert len(rest) == header + body
    assert decode(rest[:header], rest[header:]) == message
