"""LangChain's standard tests of a chat model, of its clients for OpenAI and for Anthropic.

What needs a picture or a file from the network is left out there by default.
"""

import os
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

ORIGIN, KEY = os.environ["DEEPTOKEN_ORIGIN"], os.environ["DEEPTOKEN_KEY"]


class Standard(ChatModelIntegrationTests):
    __test__ = False

    @property
    def model_override_value(self) -> str:
        return "other/mind"

    @property
    def supports_json_mode(self) -> bool:
        return self.chat_model_class is ChatOpenAI


class TestOpenAI(Standard):
    __test__ = True

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "mind",
            "base_url": f"{ORIGIN}/v1",
            "api_key": KEY,
            "max_retries": 0,
            "stream_usage": True,
        }

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "json_schema"}


class TestAnthropic(Standard):
    __test__ = True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "mind", "base_url": ORIGIN, "api_key": KEY, "max_retries": 0, "max_tokens": 500}
