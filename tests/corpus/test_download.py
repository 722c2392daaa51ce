"""Downloads from a server on loopback: whole or resumed, the bytes are those of the server, or there is no file."""

import hashlib
import http.server
import threading

import pytest

from dozero.corpus.download import Downloaded, Downloading, Retrying, cached_path, download, fetch, is_cached, is_url
from dozero.errors import DataError

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves BODY; what it does wrong is set on the server."""

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        if server.refuse:
            self.send_error(server.refuse.pop(0))
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.moved_to)
            self.end_headers()
            return
        start = 0
        if server.ranges and self.headers.get("Range") and self.headers.get("If-Range") == server.etag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(BODY) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.end_headers()
        end = server.break_at.pop(0) if server.break_at else len(BODY)
        self.wfile.write(BODY[start:end])

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.refuse, server.break_at, server.ranges, server.etag, server.moved_to = (
        [],
        [],
        [],
        True,
        '"v1"',
        "/a.txt",
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/a.txt"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(server, path, **options):
    return list(download(options.pop("url", server.url), path, first_wait_s=0.01, **options))


def test_a_file_arrives_whole_with_its_sum(server, tmp_path):
    events = get(server, tmp_path / "a.txt", sha256=SHA256)
    assert (tmp_path / "a.txt").read_bytes() == BODY
    assert events[-1] == Downloaded(server.url, tmp_path / "a.txt", len(BODY), SHA256)
    assert [e.done_bytes for e in events if isinstance(e, Downloading)][-1] == len(BODY)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_from_where_it_broke(server, tmp_path, ranges):
    server.break_at, server.ranges = [300_000], ranges
    events = get(server, tmp_path / "a.txt", sha256=SHA256)
    assert (tmp_path / "a.txt").read_bytes() == BODY
    assert sum(isinstance(e, Retrying) for e in events) == 1
    assert server.requests[1]["Range"] == "bytes=300000-"


def test_a_stopped_download_goes_on_at_the_next_call(server, tmp_path):
    server.break_at = [300_000]
    with pytest.raises(DataError, match="download failed"):
        get(server, tmp_path / "a.txt", attempts=1)
    assert not (tmp_path / "a.txt").exists()
    get(server, tmp_path / "a.txt")
    assert server.requests[-1]["Range"] == "bytes=300000-"
    assert (tmp_path / "a.txt").read_bytes() == BODY


def test_a_file_that_changed_in_between_begins_anew(server, tmp_path):
    server.break_at = [300_000]
    with pytest.raises(DataError):
        get(server, tmp_path / "a.txt", attempts=1)
    server.etag = '"v2"'
    get(server, tmp_path / "a.txt", sha256=SHA256)
    assert (tmp_path / "a.txt").read_bytes() == BODY


def test_the_wrong_file_is_refused_and_not_kept(server, tmp_path):
    with pytest.raises(DataError, match="SHA-256 differs"):
        get(server, tmp_path / "a.txt", sha256="0" * 64)
    assert not (tmp_path / "a.txt").exists()
    with pytest.raises(DataError, match="larger than allowed"):
        get(server, tmp_path / "a.txt", largest_bytes=1000)


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(server, tmp_path):
    server.refuse = [503, 429]
    get(server, tmp_path / "a.txt", sha256=SHA256)
    server.refuse = [404]
    with pytest.raises(DataError, match="the server refuses it \\(404"):
        get(server, tmp_path / "b.txt")


def test_redirects_are_followed_within_http_only(server, tmp_path):
    moved = server.url.replace("a.txt", "moved")
    get(server, tmp_path / "a.txt", url=moved, sha256=SHA256)
    server.moved_to = "file:///etc/passwd"
    with pytest.raises(DataError):
        get(server, tmp_path / "b.txt", url=moved, attempts=1)
    assert not (tmp_path / "b.txt").exists()


def test_the_cache_keeps_what_arrived(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path))
    assert not is_cached(server.url)
    assert fetch(server.url) == cached_path(server.url) == fetch(server.url)
    assert len(server.requests) == 1
    assert is_cached(server.url)
    cached_path(server.url).write_bytes(b"")
    assert not is_cached(server.url)


def test_only_web_addresses_are_urls():
    assert [is_url(a) for a in ("https://a/b", "hf://a/b", "a/b.txt", "C:\\x")] == [True, False, False, False]
    with pytest.raises(DataError, match="an address that is not read"):
        is_url("ftp://a/b")
