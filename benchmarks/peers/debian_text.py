"""Real Portuguese text out of Debian packages, unpacked into a cache folder; nothing is installed on the system.

libreoffice-help-pt-br (MPL-2.0), debian-handbook (CC BY-SA 3.0 or GPL-2+) and focalinux-text (GFDL). Needs apt-get
and dpkg-deb, so Debian or Ubuntu. The text is measured on, never shipped.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

PACKAGES = ("libreoffice-help-pt-br", "debian-handbook", "focalinux-text")
CACHE = Path(tempfile.gettempdir()) / "dozero-debian-text"
HELP, HANDBOOK, FOCALINUX = (
    "usr/share/libreoffice/help/pt-BR/text",
    "usr/share/doc/debian-handbook/html/pt-BR",
    "usr/share/doc/focalinux/text",
)


def debian_root() -> Path:
    """Return a folder with the packages unpacked as under /, downloading what is missing."""
    root = CACHE / "root"
    for package in PACKAGES:
        done = CACHE / f"{package}.done"
        if not done.exists():
            folder = CACHE / package
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
            for deb in folder.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
            done.touch()
    return root


class _Text(HTMLParser):
    """Gathers the text of paragraphs and headings, one a line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._inside = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the name is that of the base class
        if tag in ("p", "h1", "h2", "h3"):
            self._inside += 1
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "h1", "h2", "h3"):
            self._inside = max(0, self._inside - 1)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.lines[-1] += data


def help_text() -> str:
    """Return the whole Portuguese LibreOffice help as text, a paragraph a line, repeated ones once."""
    return pages_text(debian_root() / HELP)


def pages_text(folder: Path) -> str:
    """Return the HTML pages of a folder as text, a paragraph a line, repeated ones once."""
    lines: dict[str, None] = {}
    for page in sorted(folder.rglob("*.html")):
        parser = _Text()
        parser.feed(page.read_text(encoding="utf-8"))
        lines |= dict.fromkeys(re.sub(r"\s+", " ", line).strip() for line in parser.lines)
    return "\n".join(line for line in lines if line) + "\n"
