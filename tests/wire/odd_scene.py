"""What may stand in the place of a field of an answer."""

from hypothesis import strategies as st

from deeptoken.wire import responses
from deeptoken.wire.responses_answer import facts
from odd_shapes import anything

RESPONSE = responses.read(b'{"model":"acme/one","input":"hi"}')
FACTS = facts(RESPONSE, id="resp_1", created=1, model="acme/one")
DETAIL = {
    "type": "reasoning.text",
    "text": "x",
    "signature": "s",
    "format": "anthropic-claude-v1",
    "index": 0,
}
OTHER = {"type": "reasoning.summary", "summary": "x", "format": "google-gemini-v1", "index": 1}


ANYTHING = anything(st.sampled_from(["x", DETAIL, OTHER]), ["type", "text", "index", "data", "content"])
