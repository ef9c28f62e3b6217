"""What a call used, split once into disjoint classes.

    prompt_tokens      = prompt + cached + cache_write + cache_write_1h + prompt_audio
    completion_tokens  = completion + reasoning + completion_audio

Each class has its own price and is priced once (`catalog/price.py`).
"""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of tokens, each token in exactly one class."""

    prompt: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    prompt_audio: int = 0
    completion: int = 0
    reasoning: int = 0
    completion_audio: int = 0

    @property
    def prompt_tokens(self) -> int:
        return self.prompt + self.cached + self.cache_write + self.cache_write_1h + self.prompt_audio

    @property
    def completion_tokens(self) -> int:
        return self.completion + self.reasoning + self.completion_audio
