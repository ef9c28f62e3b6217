"""OpenAI's legacy completions: a prompt read as a chat, and a chat's answer told as text.

    prompt            one text: the user's message
    max_tokens        16 where none is told, as the dialect has it
    logprobs          logprobs and top_logprobs; told back in the dialect's four lists
    echo              the prompt before the text; done here
    best_of           as many as `n`, or 0: nothing to choose from

Several prompts, tokens instead of text, `suffix`, a best of more, `echo` with `logprobs` and 0 `max_tokens`
are for a host that has the dialect (`Chat.native`); where it would have to be translated they are refused
(`refuse_beyond`). Reasoning has no place in a text and is left out.

Source: developers.openai.com/api/reference/resources/completions and openai-python's types, read 2026-11-25.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from deeptoken.errors import DeeptokenError
from deeptoken.wire import chat, naming
from deeptoken.wire.chat import Chat, Native, wrong
from deeptoken.wire.choice import FIELDS, objects_of

DIALECT = "completions"
MAX_TOKENS = 16
ANSWERS_MAX = 128
TEXT_REASONS = ("stop", "length", "content_filter")
NAMES = {"messages": "prompt", "max_completion_tokens": "max_tokens", "top_logprobs": "logprobs"}
"""Chat's names of what is called otherwise here."""

Object = dict[str, Any]
encode = msgspec.json.encode
decode = msgspec.json.decode

Count = Annotated[int, msgspec.Meta(ge=1, le=ANSWERS_MAX)]


class Create(msgspec.Struct, frozen=True):
    """What the gateway understands of a request; the rest passes by."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=chat.MODEL_ID_MAX)]
    prompt: str | list[str | int | list[int]]
    suffix: str | None = None
    echo: bool | None = None
    best_of: Annotated[int, msgspec.Meta(ge=0, le=ANSWERS_MAX)] | None = None
    n: Count | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    max_tokens: chat.Tokens | None = None


TRANSLATED = frozenset(Create.__struct_fields__) - {"model"}


def read(body: bytes) -> Chat:
    """Check a request's body and read it as a chat, with what came in `native`.

    Raises:
        BadRequest: not JSON, or not a request of this dialect; `param` names the field.
    """
    whole, fields = chat.decode(body)
    asked = _asked(whole)
    texts = _texts(asked.prompt)
    answers = len(texts) * max(asked.n or 1, asked.best_of or 1)
    if answers > ANSWERS_MAX:
        raise wrong("prompt", f"at most {ANSWERS_MAX} answers a call, of all prompts together")
    content: Any = texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
    translated: Object = {
        name: raw for name, raw in fields.items() if name not in TRANSLATED and whole[name] is not None
    }
    translated["messages"] = [{"role": "user", "content": content}]
    translated["max_tokens"] = MAX_TOKENS if asked.max_tokens is None else max(1, asked.max_tokens)
    if answers > 1:
        translated["n"] = answers
    if asked.logprobs is not None:
        translated["logprobs"] = True
        if asked.logprobs:
            translated["top_logprobs"] = asked.logprobs
    made = chat.read(encode(translated))
    passing = {name: raw for name, raw in fields.items() if name not in chat.OURS and whole[name] is not None}
    made.native = Native(DIALECT, passing)
    made.size = len(body)
    return made


def refuse_beyond(made: Chat) -> None:
    """Called where a host of another dialect is to answer.

    Raises:
        BadRequest: something of the request has no place in a chat; `param` names it.
    """
    if made.native is None:
        return
    asked = _asked(decode(encode(made.native.fields)))
    prompt = asked.prompt
    if not isinstance(prompt, str) and (len(prompt) > 1 or not isinstance(prompt[0], str)):
        raise wrong("prompt", "the providers of this model take one text a call")
    if asked.suffix:
        raise wrong("suffix", "the providers of this model do not fill in the middle")
    if (asked.best_of or 1) > (asked.n or 1):
        raise wrong("best_of", "the providers of this model do not choose: ask for as many as n")
    if asked.echo and asked.logprobs is not None:
        raise wrong("logprobs", "the providers of this model do not tell those of a prompt: leave echo out")
    if asked.max_tokens == 0:
        raise wrong("max_tokens", "the providers of this model generate one token at least")


def rename(error: DeeptokenError) -> None:
    """Gives an error that names a field of the chat this dialect's name of it."""
    naming.rename(error, lambda told: NAMES.get(re.split(r"[.\[]", told, maxsplit=1)[0], told))


def _asked(whole: Object) -> Create:
    if whole.get("messages") is not None:
        raise naming.Misnamed(
            "messages: it is called prompt here; messages go to /v1/chat/completions.", param="messages"
        )
    try:
        return msgspec.convert(whole, Create)
    except msgspec.ValidationError as error:
        raise chat.invalid(str(error), chat.dotted) from None


def _texts(prompt: str | list[Any]) -> list[str]:
    """The prompts as texts. Tokens are told as numbers: read for the meter, each counts as one at least."""
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise wrong("prompt", "there is nothing to complete in it")
    if len({type(one) for one in prompt}) > 1:
        raise wrong("prompt", "expected texts, or tokens, or lists of tokens: not some of each")
    if isinstance(prompt[0], int):
        return [encode(prompt).decode()]
    return [one if isinstance(one, str) else encode(one).decode() for one in prompt]


class Said(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Any = None


_choices = msgspec.json.Decoder(list[Choice])


class Texts:
    """The answers to one request, whole or chunk by chunk.

    `native` is what a host of the dialect told: it is passed on, and has its prompt in it if that was asked.
    """

    def __init__(self, made: Chat) -> None:
        fields = made.native.fields if made.native is not None else {}
        asked = _asked(decode(encode(fields)))
        self._prompt = _texts(asked.prompt)[0] if asked.echo else ""
        self._told: dict[int, int] = {}
        """How many characters of each choice were told."""

    def whole(self, fields: Object, native: Mapping[str, msgspec.Raw] | None = None) -> Object:
        """A ``chat.completion``, or a chunk of one, as a ``text_completion``; fields beside go along."""
        if native is not None:
            return dict(native)
        raw = FIELDS.decode(encode(fields))
        choices = [self._choice(choice) for choice in _choices.decode(raw.get("choices", b"[]"))]
        made: Object = {**raw, "object": "text_completion", "choices": choices}
        if "id" in raw:
            made["id"] = _id(decode(raw["id"]))
        return made

    def chunk(self, data: bytes, native: bytes = b"") -> bytes:
        """A chunk's JSON as this dialect has it; nothing where it tells nothing."""
        if native:
            self._prompt = ""
            return native
        made = self.whole(FIELDS.decode(data))
        choices = made["choices"]
        if choices and not any(one["text"] or one["finish_reason"] or one["logprobs"] for one in choices):
            return b""
        return encode(made)

    def _choice(self, choice: Choice) -> Object:
        said = choice.message or choice.delta or Said()
        text = said.content or said.refusal or ""
        reason = choice.finish_reason
        before = self._told.get(choice.index, 0)
        if text or reason:
            if choice.index not in self._told:
                text = self._prompt + text
            self._told[choice.index] = before + len(text)
        told = choice.logprobs.get("content") if isinstance(choice.logprobs, dict) else None
        return {
            "text": text,
            "index": choice.index,
            "logprobs": _logprobs(objects_of(told), before) if isinstance(told, list) else None,
            "finish_reason": reason if reason is None or reason in TEXT_REASONS else "stop",
        }


class Joined:
    """Puts a host's own chunks together, as if they had not been streamed."""

    def __init__(self) -> None:
        self._fields: dict[str, msgspec.Raw] = {}
        self._choices: dict[int, Object] = {}
        self._texts: dict[int, list[str]] = {}

    def add(self, native: bytes) -> None:
        """One chunk, as the adapter delivers it."""
        self._fields.update(FIELDS.decode(native))
        for told in decode(self._fields.pop("choices")):
            index = told["index"]
            choice = self._choices.setdefault(index, told)
            self._texts.setdefault(index, []).append(told["text"])
            if choice is not told:
                choice["finish_reason"] = told["finish_reason"] or choice["finish_reason"]
                choice["logprobs"] = _longer(choice["logprobs"], told["logprobs"])

    def whole(self, finish: str | None = None) -> Object:
        """The ``text_completion`` so far, without usage; `finish` is the end of what has none."""
        choices = [
            {
                **choice,
                "text": "".join(self._texts[at]),
                "finish_reason": choice["finish_reason"] or finish,
            }
            for at, choice in sorted(self._choices.items())
        ]
        return {**self._fields, "choices": choices}


def _longer(one: Any, more: Any) -> Any:
    """Log probabilities with those of a later chunk behind them."""
    match one, more:
        case dict(), dict():
            return {name: _longer(told, more.get(name)) for name, told in one.items()}
        case list(), list():
            return one + more
    return more if one is None else one


def _logprobs(told: list[Object], offset: int) -> Object:
    """A chat's log probabilities in the dialect's lists; `offset`: where in the text the first one stands."""
    lists: Object = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for one in told:
        token = _token(one)
        lists["tokens"].append(token)
        lists["token_logprobs"].append(one.get("logprob"))
        tops = objects_of(one.get("top_logprobs"))
        lists["top_logprobs"].append({_token(top): top.get("logprob") for top in tops})
        lists["text_offset"].append(offset)
        offset += len(token)
    return lists


def _token(one: Object) -> str:
    token = one.get("token")
    return token if isinstance(token, str) else ""


def _id(told: object) -> object:
    if isinstance(told, str) and told.startswith("chatcmpl-"):
        return told.replace("chatcmpl-", "cmpl-", 1)
    return told
