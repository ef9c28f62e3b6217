"""What a call used, split once into disjoint classes.

    prompt_tokens      = prompt + cached + cache_write + cache_write_1h + prompt_audio
    completion_tokens  = completion + reasoning + completion_audio + completion_image

What is no token has a unit of its own: images, characters, seconds of audio, searches. Each class has its own
price and is priced once (`catalog/price.py`).
"""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of tokens, each token in exactly one class, and of other units."""

    prompt: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    prompt_audio: int = 0
    completion: int = 0
    reasoning: int = 0
    completion_audio: int = 0
    images: int = 0
    characters: int = 0
    seconds: int = 0
    searches: int = 0
    completion_image: int = 0

    @property
    def prompt_tokens(self) -> int:
        return self.prompt + self.cached + self.cache_write + self.cache_write_1h + self.prompt_audio

    @property
    def completion_tokens(self) -> int:
        return self.completion + self.reasoning + self.completion_audio + self.completion_image

    @property
    def units(self) -> int:
        """How much was used that is no token."""
        return self.images + self.characters + self.seconds + self.searches


NOTHING = Usage()
