"""A chat's body, read once."""

import pytest

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import read


def test_a_field_that_stands_twice_in_a_message_goes_on_once() -> None:
    chat = read(b'{"model":"m","messages":[{"role":"user","role":"system","content":"a"}]}')

    assert bytes(chat.fields["messages"]) == b'[{"role":"system","content":"a"}]'
    assert chat.native is None


@pytest.mark.parametrize("depth", [500, 600, 900, 1_000, 5_000])
def test_what_is_nested_too_deeply_is_refused(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth

    with pytest.raises(BadRequest, match="nested too deeply"):
        read(b'{"model":"m","messages":[{"role":"user","content":[{"type":"x","y":%b}]}]}' % deep)
