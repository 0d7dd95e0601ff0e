"""
Ids and names in Fly's shapes, from a seed: the same calls give the same ids in every run.

    Machine       14 hex digits                     3d8d7000c52d78
    event         ULID, 26 characters, in order     01J8ZQ7W9Y3S0M2C4B6D8F1GHK
    generated     two words and four digits         quiet-harbor-4821
"""

import random

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LENGTH = 26
_ADJECTIVES = ("quiet", "bold", "late", "misty", "polished", "shy", "summer", "wandering")
_NOUNS = ("brook", "cloud", "fire", "harbor", "meadow", "resonance", "shape", "violet")


class Identities:
    """Where new ids come from."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._newest = 0

    def machine(self) -> str:
        return f"{self._random.getrandbits(56):014x}"

    def ulid(self, now: float) -> str:
        """A ULID for unix time `now`, greater than every one before it."""
        number = int(now * 1000) << 80 | self._random.getrandbits(80)
        self._newest = max(number, self._newest + 1)
        return "".join(
            _CROCKFORD[self._newest >> 5 * place & 31] for place in reversed(range(_ULID_LENGTH))
        )

    def name(self) -> str:
        words = f"{self._random.choice(_ADJECTIVES)}-{self._random.choice(_NOUNS)}"
        return f"{words}-{self._random.randrange(10_000):04d}"

    def private_ip(self) -> str:
        low, high = self._random.getrandbits(16), self._random.getrandbits(16)
        return f"fdaa:0:3ec2:a7b:e5:{low:x}:{high:x}:2"
