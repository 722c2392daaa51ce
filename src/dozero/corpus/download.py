"""Downloads over http(s): resumed where they broke off, checked by SHA-256, in place only when whole.

While it arrives, a file is `name.part`, with the validator of the server (ETag or date) beside it: only a file that the
server says is still the same is continued (`If-Range`, RFC 9110 section 13.1.5), any other begins anew.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dozero.durable import explain_os_errors, lock, sha256_of, write_json
from dozero.errors import DataError

CHUNK = 1 << 18
ATTEMPTS = 5
TIMEOUT_S = 30.0
FIRST_WAIT_S = 1.0
LARGEST_BYTES = 200_000_000_000
SCHEMES = ("http", "https")
# Worth another attempt: the server is busy or restarting. All other refusals stay refusals.
PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
CACHE_VARIABLE = "DOZERO_CACHE"
SAFE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Downloading:
    """So many bytes of a download have arrived."""

    url: str
    done_bytes: int
    total_bytes: int
    """0 when the server does not tell."""


@dataclass(frozen=True)
class Retrying:
    """The connection failed and is tried again after some seconds."""

    url: str
    cause: str
    wait_s: float


@dataclass(frozen=True)
class Downloaded:
    """A file has arrived whole, and its SHA-256 is as it should be."""

    url: str
    path: Path
    size_bytes: int
    sha256: str


Event = Downloading | Retrying | Downloaded


def is_url(address: str) -> bool:
    """Return whether an address names something to download; DataError for a scheme that is not http or https."""
    scheme, mark, _ = address.partition("://")
    if not mark or scheme == "hf":
        return False
    if scheme.lower() not in SCHEMES:
        raise DataError("an address that is not read", where=address, expected="http://, https:// or hf://")
    return True


def cache_folder() -> Path:
    """Return where downloads are kept: $DOZERO_CACHE, else dozero in the user's cache folder."""
    told = os.environ.get(CACHE_VARIABLE)
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dozero"


def cached_path(url: str) -> Path:
    """Return where the file of a URL is kept, there or not."""
    name = SAFE_NAME.sub("-", urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])).strip(".-")
    folder = hashlib.sha256(url.encode()).hexdigest()[:16]
    return cache_folder() / folder / (name[-100:] or "download")


def is_cached(url: str) -> bool:
    """Return whether the file of a URL has arrived before."""
    return _recorded(cached_path(url)) is not None


def fetch(url: str, *, sha256: str = "") -> Path:
    """Return the file of a URL, downloaded unless it was before."""
    path = cached_path(url)
    if is_cached(url):
        return path
    for _ in download(url, path, sha256=sha256):
        pass
    return path


def download(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    largest_bytes: int = LARGEST_BYTES,
    attempts: int = ATTEMPTS,
    first_wait_s: float = FIRST_WAIT_S,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Event]:
    """Yield how a download goes on; after the last event the file is at `path`, beside it what is known of it.

    A broken connection is tried again `attempts` times, after twice the wait each time, from where it broke off;
    so is a download that was stopped, when it is started again.
    """
    if not is_url(url):
        raise DataError("not a URL", where=url, expected="http:// or https://")
    with lock(path.parent):
        for attempt in range(1, attempts + 1):
            try:
                yield from _continue(url, path, largest_bytes, timeout_s)
                break
            except (OSError, http.client.HTTPException) as error:
                _raise_if_final(error, url, is_last=attempt == attempts)
                wait_s = first_wait_s * 2 ** (attempt - 1)
                yield Retrying(url, _cause(error), wait_s)
                time.sleep(wait_s)
        yield _put_in_place(url, path, sha256)


class _Broken(ConnectionError):
    """The connection ended before the file did."""


def _continue(url: str, path: Path, largest_bytes: int, timeout_s: float) -> Iterator[Event]:
    """Download what is missing of `path`.part, all of it when the server cannot give a part or the file has changed."""
    part = _part(path)
    validator = _read_json(_validator(path)).get("validator", "")
    have = part.stat().st_size if part.exists() and validator else 0
    with _open(url, have, validator, timeout_s) as response:
        if have and not _continues_at(response, have):
            have = 0
        told = response.headers.get("Content-Length", "")
        total = have + int(told) if told.isdigit() else 0
        _check_size(url, max(total, have), largest_bytes)
        with explain_os_errors(part):
            write_json(_validator(path), {"url": url, "validator": _strong_validator(response)})
            file = part.open("ab" if have else "wb")
        with file:
            yield Downloading(url, have, total)
            while data := response.read(CHUNK):
                with explain_os_errors(part):
                    file.write(data)
                have += len(data)
                _check_size(url, have, largest_bytes)
                yield Downloading(url, have, total)
    if total and have != total:
        raise _Broken(f"the connection ended after {have:,} of {total:,} bytes")


def _open(url: str, have: int, validator: str, timeout_s: float) -> Any:
    """Return the answer to a request for the file from byte `have` on."""
    headers = {"User-Agent": "dozero", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    # Made by hand, because the usual opener also follows a redirect to ftp.
    opener = urllib.request.OpenerDirector()
    for make in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(make())
    response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    if response is None:
        raise DataError("redirected to an address that is not read", where=url, expected="http:// or https://")
    if url.lower().startswith("https:") and not response.url.lower().startswith("https:"):
        response.close()
        raise DataError("redirected from https to http", where=url, got=response.url)
    return response


def _continues_at(response: Any, have: int) -> bool:
    """Return whether the answer begins where the part at hand ends."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _strong_validator(response: Any) -> str:
    """Return what tells whether the file is still the same byte for byte; a weak ETag does not."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _check_size(url: str, size: int, largest: int) -> None:
    if size > largest:
        raise DataError(
            "larger than allowed", where=url, expected=f"at most {largest:,} bytes", got=f"{size:,} or more"
        )


def _raise_if_final(error: Exception, url: str, *, is_last: bool) -> None:
    """Raise DataError unless another attempt may help."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code not in PASSING:
            raise DataError(f"the server refuses it ({error.code} {error.reason})", where=url) from None
    if is_last:
        raise DataError(
            f"download failed ({_cause(error)})", where=url, next="the same command again; what has arrived is kept"
        ) from None


def _cause(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _put_in_place(url: str, path: Path, sha256: str) -> Downloaded:
    """Rename the part to the file when its SHA-256 is as it should be; else remove it."""
    part = _part(path)
    found = sha256_of(part)
    if sha256 and found != sha256.lower():
        part.unlink()
        raise DataError("not the file expected: its SHA-256 differs", where=url, expected=sha256, got=found)
    done = Downloaded(url, path, part.stat().st_size, found)
    with explain_os_errors(path):
        os.replace(part, path)
        write_json(_record(path), {**asdict(done), "path": path.name})
        _validator(path).unlink(missing_ok=True)
    return done


def _recorded(path: Path) -> dict[str, Any] | None:
    """Return what is known of a file that has arrived, None when it has not or was altered in size."""
    known = _read_json(_record(path))
    is_there = path.is_file() and path.stat().st_size == known.get("size_bytes")
    return known if is_there else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _validator(path: Path) -> Path:
    return path.with_name(path.name + ".part.json")


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")
