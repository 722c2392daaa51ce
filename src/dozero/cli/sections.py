"""The numbered sections of `dozero hello`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozero.cli.display import Display


def head(display: Display, place: int, key: str) -> None:
    """Print the number and the name of a section."""
    from dozero.cli.messages import say

    display.line()
    display.line(f"[bold cyan]{place}  {say(display.lang, key)}[/]")
