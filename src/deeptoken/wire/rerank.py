"""Requests of a ranking: documents in the order in which they answer a query.

OpenAI has none. The shape is Cohere's and Jina's, which other hosts speak too. Some bill the tokens, the
query's for each document; Cohere bills searches: 100 documents are one, and a document that with the query
has more than 500 tokens counts as so many. Sources, read 2026-11-25: docs.cohere.com/reference/rerank,
docs.vllm.ai, and the types of the SDKs of Cohere (7.3), Together (3.1), Voyage (0.5) and OpenRouter (1.3).
"""

from typing import Annotated, Any

import msgspec

from deeptoken.wire import task_request
from deeptoken.wire.chat import Chat, wrong
from deeptoken.wire.task import Task
from deeptoken.wire.task_request import TaskRequest, tokens_bound
from deeptoken.wire.usage import Usage

NAME = "rerank"
DOCUMENTS_A_SEARCH, TOKENS_A_DOCUMENT = 100, 500


class RerankRequest(TaskRequest, frozen=True, kw_only=True):
    query: Annotated[str, msgspec.Meta(min_length=1)]
    documents: Annotated[list[Any], msgspec.Meta(min_length=1)]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool | None = None

    @property
    def texts(self) -> list[str]:
        """The documents' texts; of one that is an object, its `text` or all of it."""
        return [one if isinstance(one, str) else _text(one) for one in self.documents]


def read(body: bytes) -> Chat:
    """Raises:
    BadRequest: it is no such request; `param` names the field.
    """
    return task_request.read(body, RerankRequest, _task)


def _task(request: RerankRequest) -> Task:
    for at, document in enumerate(request.documents):
        if not isinstance(document, str | dict):
            raise wrong(f"documents[{at}]", "expected a text or an object")
    texts = request.texts
    query = tokens_bound(request.query)
    sizes = [query + tokens_bound(text) for text in texts]
    counted = sum(_parts(size, TOKENS_A_DOCUMENT) for size in sizes)
    return Task(
        name=NAME,
        request=request,
        bound=Usage(prompt=sum(sizes), searches=_parts(counted, DOCUMENTS_A_SEARCH)),
        units=Usage(searches=_parts(len(texts), DOCUMENTS_A_SEARCH)),
        texts=((request.query, len(texts)), *((text, 1) for text in texts)),
    )


def _parts(whole: int, size: int) -> int:
    return -(-whole // size)


def _text(document: dict[str, Any]) -> str:
    text = document.get("text")
    return text if isinstance(text, str) else msgspec.json.encode(document).decode()
