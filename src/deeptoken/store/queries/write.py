"""A statement that may be written, and what it means when it does not go through."""

import re
from typing import Literal

import msgspec

PARAMETER = re.compile(r"\$(\d+)")


class Write(msgspec.Struct, frozen=True):
    """`taken` is what a broken uniqueness means. With `notify` the gateway must read people and prices anew.

    A `chained` statement returns what it inserted, gets its place in the hash chain as its last three
    parameters (epoch, batch and place), and the chain covers what it returned.
    """

    sql: str
    taken: str = "That is there already."
    notify: bool = True
    chained: Literal["", "price", "audit"] = ""

    @property
    def parameters(self) -> int:
        """How many it takes, the place in the chain among them."""
        return max(int(number) for number in PARAMETER.findall(self.sql))
