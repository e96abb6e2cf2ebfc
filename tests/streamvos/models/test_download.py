"""The real download code against a small server on this machine that speaks as the hub does."""

import dataclasses
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streamvos.errors import MissingWeightsError
from streamvos.models import catalogue
from streamvos.models.entries import Entry

CONTENT = b"0123456789" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "a" * 40
ENTRY = Entry("tiny", "hub", "someone/tiny", "tiny.pth", "", 0, "MIT", "none", "streamvos models fetch tiny")


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        known = self.path.startswith("/someone/tiny/resolve/") or self.path.startswith("/release/")
        self.send_response(200 if known and self.path.endswith("tiny.pth") else 404)
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(CONTENT)) if known else "0")
        self.end_headers()
        if body and known:
            self.wfile.write(CONTENT)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", ENTRY)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_from_the_hub(server):
    path = catalogue.fetch("tiny")
    assert path.read_bytes() == CONTENT
    assert catalogue.verify("tiny") == catalogue.Verified(path, SHA256, "hub")
    assert COMMIT in path.with_name("tiny.pth.fetched.json").read_text()


def test_a_file_that_the_hub_does_not_have(server, monkeypatch):
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", dataclasses.replace(ENTRY, file="other.pth"))
    with pytest.raises(MissingWeightsError, match="other.pth could not be fetched from someone/tiny") as caught:
        catalogue.fetch("tiny")
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached(server, monkeypatch):
    server.shutdown()
    server.server_close()
    with pytest.raises(MissingWeightsError, match="try again with: streamvos models fetch tiny$") as caught:
        catalogue.fetch("tiny")
    assert "\n" not in str(caught.value)


def test_from_a_release_folder(server, monkeypatch):
    from streamvos.models import download

    folder = catalogue.cache_folder()
    folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{server.server_port}/release"
    assert download._from_release(url, "tiny.pth", folder) == download.Origin("", "")
    assert (folder / "tiny.pth").read_bytes() == CONTENT
    with pytest.raises(download.DownloadError, match="404"):
        download._from_release(url, "absent.bin", folder)
    assert [path.name for path in folder.iterdir()] == ["tiny.pth"]
