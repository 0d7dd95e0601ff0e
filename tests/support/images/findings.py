"""What a trial finds: claims that hold or do not, and figures."""

import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """Says each claim as it is checked, and keeps what has to be said at the end."""

    broken: int = 0
    checked: int = 0
    figures: list[tuple[str, str]] = field(default_factory=list)

    def claim(self, text: str, found: object, expected: object) -> None:
        """State something; it holds if `found` equals what was expected."""
        self.checked += 1
        if found == expected:
            say(f"  ok      {text}")
            return
        self.broken += 1
        say(f"  BROKEN  {text}\n          expected {expected!r}\n          found    {found!r}")

    def figure(self, name: str, value: str) -> None:
        """Keep a measured value, with its unit, for the table at the end."""
        self.figures.append((name, value))

    def sum_up(self) -> int:
        """Print the figures and how many claims hold; the exit code."""
        width = max((len(name) for name, _ in self.figures), default=0)
        for name, value in self.figures:
            say(f"{name:<{width}}  {value}")
        say(f"{self.checked - self.broken} claims hold, {self.broken} are broken")
        return 1 if self.broken else 0


def say(line: str) -> None:
    """Print a line at once, so that whoever waits sees what is going on."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
