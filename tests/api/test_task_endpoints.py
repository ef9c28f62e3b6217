"""Every endpoint that is no chat has a reader, and what it reads has a meter."""

from typing import Any

import msgspec
import pytest

from deeptoken.api.tasks import TASKS
from deeptoken.wire.task import Task
from deeptoken.wire.usage import NOTHING, Usage

SMALLEST: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"model": "m", "input": "a"},
    "/v1/moderations": {"input": "a"},
    "/v1/images/generations": {"model": "m", "prompt": "a"},
    "/v1/audio/speech": {"model": "m", "input": "a", "voice": "alloy"},
    "/v1/rerank": {"model": "m", "query": "a", "documents": ["b"]},
}


@pytest.mark.parametrize("path", TASKS)
def test_what_an_endpoint_reads_is_its_task_and_has_a_meter(path: str) -> None:
    chat = TASKS[path](msgspec.json.encode(SMALLEST[path]))

    assert chat.task is not None
    assert f"/v1/{chat.task.name}" == path
    assert chat.task.bound != NOTHING


def test_a_task_without_a_meter_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="meter"):
        Task("games", msgspec.Struct(), bound=Usage())
