"""An answer that breaks OpenAI's rules, mended; one that keeps them is left byte for byte.

choices   of a whole answer: role, content, refusal, logprobs, finish_reason, ids of tool calls
Chunks    of a streamed one: the role first and once; tool calls with an index, their id and name once;
          one finish for each choice, and nothing after it
"""

from msgspec import UNSET, Raw, Struct

from deeptoken.wire.choice import (
    ASSISTANT,
    FIELDS,
    FINISH_REASONS,
    FUNCTION,
    NO_ARGUMENTS,
    NULL,
    OBJECTS,
    Call,
    Choice,
    Message,
    call_id,
    encode,
    finish_of,
    move_reasoning,
    read_choices,
    text_of,
)

NO_LOGPROBS = {"content": NULL, "refusal": NULL}
LOGPROBS_KEYS = (b'"content":', b'"refusal":')


def choices(raw: Raw, id: str) -> tuple[Raw, str]:
    """The choices of a whole answer and their text. `id` names the tool calls that have none.

    Raises:
        choice.Broken: the host says that the answer failed.
        msgspec.ValidationError: they are no list of objects.
    """
    raw, views = read_choices(raw)
    text = ""
    mended: list[dict[str, Raw]] | None = None
    numbered = {choice.index for choice in views} == set(range(len(views)))
    for place, choice in enumerate(views):
        message = choice.message or Message()
        text += text_of(message)
        if not numbered or not _keeps_the_rules(choice, message):
            mended = mended or OBJECTS.decode(raw)
            if not numbered:
                mended[place]["index"] = Raw(encode(place))
            _mend(mended[place], choice, message, f"{id}_{place}")
    return (raw if mended is None else Raw(encode(mended))), text


def _keeps_the_rules(choice: Choice, message: Message) -> bool:
    return (
        choice.logprobs is not UNSET
        and (choice.logprobs == NULL or not _lacks_keys(choice.logprobs))
        and choice.finish_reason in FINISH_REASONS
        and message.role == "assistant"
        and message.content is not UNSET
        and message.refusal is not UNSET
        and message.reasoning is UNSET
        and (not message.function_call or bool(message.function_call.name))
        and all(call.id and call.type and _has_arguments(call) for call in message.tool_calls or ())
    )


def _has_arguments(call: Call) -> bool:
    return not call.function or isinstance(call.function.arguments, str)


def _mend(fields: dict[str, Raw], choice: Choice, message: Message, name: str) -> None:
    reason = finish_of(choice.finish_reason or "", called=bool(message.tool_calls))
    said = FIELDS.decode(fields["message"]) if choice.message else {}
    said["role"] = ASSISTANT
    said.setdefault("content", NULL)
    said.setdefault("refusal", NULL)
    move_reasoning(said, message)
    if message.function_call and not message.function_call.name:
        del said["function_call"]
    if message.tool_calls:
        calls = OBJECTS.decode(said["tool_calls"])
        for number, (call, view) in enumerate(zip(calls, message.tool_calls, strict=True)):
            if not view.id:
                call["id"] = Raw(encode(call_id(name, number)))
            if not view.type:
                call["type"] = FUNCTION
            if not _has_arguments(view):
                call["function"] = Raw(encode({**FIELDS.decode(call["function"]), "arguments": NO_ARGUMENTS}))
        said["tool_calls"] = Raw(encode(calls))
    fields["message"] = Raw(encode(said))
    fields["finish_reason"] = Raw(encode(reason))
    fields.setdefault("logprobs", NULL)
    _fill_logprobs(fields)


class Mended(Struct, gc=False):
    """The choices of a chunk. `choices` is None where nothing of it is to be told."""

    choices: Raw | None
    text: str = ""
    content: bool = False
    finish: bool = False


class _Begun:
    """What was told of one choice so far."""

    __slots__ = ("by_id", "by_index", "finished", "named", "unnamed")

    def __init__(self) -> None:
        self.finished = False
        self.by_index: dict[int, int] = {}
        """The host's index of a tool call -> ours."""
        self.by_id: dict[str, int] = {}
        self.named: list[bool] = []
        """For each call: its function's name was told."""
        self.unnamed: set[int] = set()
        """Calls whose id we made up, because the host gave none."""


class Chunks:
    """Mends the choices of one streamed answer, chunk by chunk."""

    __slots__ = ("_begun", "_id")

    def __init__(self, id: str) -> None:
        self._id = id
        self._begun: dict[int, _Begun] = {}

    @property
    def begun(self) -> bool:
        """Some choice was seen."""
        return bool(self._begun)

    @property
    def finished(self) -> bool:
        """Every choice that was seen has told its finish."""
        return bool(self._begun) and all(choice.finished for choice in self._begun.values())

    def finish(self) -> list[dict[str, object]]:
        """The choices of a chunk that ends what the host has left open."""
        ends: list[dict[str, object]] = []
        for index, begun in sorted(self._begun.items()):
            if not begun.finished:
                begun.finished = True
                reason = finish_of("", called=bool(begun.named))
                ends.append({"index": index, "delta": {}, "logprobs": None, "finish_reason": reason})
        return ends

    def mend(self, raw: Raw) -> Mended:
        """One chunk's choices as they should have come.

        Raises:
            choice.Broken: the host says that the answer failed.
            msgspec.ValidationError: they are no list of objects.
        """
        raw, views = read_choices(raw)
        kept = self.kept(views)
        if kept is not None:
            return Mended(raw, *kept)
        return self._slowly(raw, views)

    def kept(self, views: list[Choice]) -> tuple[str, bool] | None:
        """The text of choices that need no mending, and whether it is content; None: they may need it."""
        if len(views) != 1:
            return None
        choice = views[0]
        delta = choice.delta
        if (
            choice.finish_reason is not None
            or not delta
            or delta.role is not UNSET
            or delta.reasoning is not UNSET
            or (begun := self._begun.get(choice.index)) is None  # type: ignore[arg-type]  # UNSET is no key
            or begun.finished
            or (delta.tool_calls and not _continues(begun, delta.tool_calls))
            or (choice.logprobs is not UNSET and choice.logprobs != NULL and _lacks_keys(choice.logprobs))
        ):
            return None
        text = delta.content or ""
        if not text or delta.reasoning_content or delta.tool_calls:
            text = text_of(delta)
        return text, bool(text) or _shows(delta)

    def _slowly(self, raw: Raw, views: list[Choice]) -> Mended:
        result = Mended(None)
        kept: list[dict[str, Raw]] = []
        for place, (fields, choice) in enumerate(zip(OBJECTS.decode(raw), views, strict=True)):
            index = place if choice.index is UNSET else choice.index
            begun = self._begun.get(index)
            if begun is not None and begun.finished:
                continue
            delta = choice.delta or Message()
            said = FIELDS.decode(fields["delta"]) if choice.delta else {}
            said.pop("role", None)
            if begun is None:
                begun = self._begun[index] = _Begun()
                said = {"role": ASSISTANT, **said}
            move_reasoning(said, delta)
            if delta.tool_calls:
                said["tool_calls"] = self._calls(begun, said["tool_calls"], delta.tool_calls, index)
            if choice.finish_reason:
                fields["finish_reason"] = Raw(
                    encode(finish_of(choice.finish_reason, called=bool(begun.named)))
                )
                begun.finished = result.finish = True
            else:
                fields["finish_reason"] = NULL
            fields["index"] = Raw(encode(index))
            fields["delta"] = Raw(encode(said))
            _fill_logprobs(fields)
            text = text_of(delta)
            result.text += text
            result.content = result.content or bool(text) or bool(delta.tool_calls) or _shows(delta)
            kept.append(fields)
        if kept or not views:
            result.choices = Raw(encode(kept))
        return result

    def _calls(self, begun: _Begun, raw: Raw, views: list[Call], choice: int) -> Raw:
        calls = OBJECTS.decode(raw)
        for call, view in zip(calls, views, strict=True):
            name = view.function.name if view.function else None
            ours = _place(begun, view, name or "")
            call["index"] = Raw(encode(ours))
            if ours == len(begun.named):
                begun.named.append(bool(name))
                if not view.id:
                    begun.unnamed.add(ours)
                    call["id"] = Raw(encode(call_id(f"{self._id}_{choice}", ours)))
                if not view.type:
                    call["type"] = FUNCTION
                continue
            call.pop("id", None)
            call.pop("type", None)
            if view.function and view.function.name is not UNSET and (begun.named[ours] or not name):
                function = FIELDS.decode(call["function"])
                del function["name"]
                call["function"] = Raw(encode(function))
                view.function.name = None
            begun.named[ours] = begun.named[ours] or bool(name)
        return Raw(encode(calls))


def _lacks_keys(logprobs: Raw) -> bool:
    """Log probabilities of a host that leaves out what it has none of."""
    told = bytes(logprobs)
    return any(key not in told for key in LOGPROBS_KEYS)


def _fill_logprobs(fields: dict[str, Raw]) -> None:
    logprobs = fields.get("logprobs", NULL)
    if bytes(logprobs).startswith(b"{"):
        fields["logprobs"] = Raw(encode({**NO_LOGPROBS, **FIELDS.decode(logprobs)}))


def _continues(begun: _Begun, calls: list[Call]) -> bool:
    """These only add arguments to calls that are known by the host's index, which is ours too."""
    return all(
        call.id is UNSET
        and call.index is not UNSET
        and begun.by_index.get(call.index) == call.index
        and (not call.function or call.function.name is UNSET)
        for call in calls
    )


def _place(begun: _Begun, call: Call, name: str) -> int:
    """Which of the choice's calls this delta belongs to; the number of calls so far means a new one."""
    index = None if call.index is UNSET else call.index
    same = begun.by_index.get(index) if index is not None else None
    if call.id and call.id in begun.by_id:
        ours = begun.by_id[call.id]
    elif same is not None and (not call.id or same in begun.unnamed):
        ours = same
    elif not call.id and not name and begun.named:
        # What begins a call has a name, or an id at least.
        ours = len(begun.named) - 1
    else:
        # Some hosts give every call the index 0, some start at 1: a new id is a new call.
        ours = len(begun.named)
    if call.id:
        begun.by_id[call.id] = ours
    if index is not None:
        begun.by_index[index] = ours
    return ours


def _shows(delta: Message) -> bool:
    """It carries sound or pictures, which are content without text."""
    audio, images = delta.audio, delta.images
    return (audio is not UNSET and audio != NULL) or (images is not UNSET and images != NULL)
