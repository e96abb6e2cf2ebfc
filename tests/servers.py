"""Servers on the loopback for tests: files whose link breaks, and a camera."""

from __future__ import annotations

import contextlib
import http.server
import re
import socketserver
import threading
import time
from pathlib import Path


class Web(http.server.ThreadingHTTPServer):
    """Serves files of a folder with ranges, up to `cut_at` (share of the bytes) where that is set."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.cut_at, self.num_requests = folder, None, 0
        super().__init__(("127.0.0.1", 0), _FileHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _FileHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        self.server.num_requests += 1
        found = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start, end = (int(found[1]), int(found[2] or len(data) - 1)) if found else (0, len(data) - 1)
        self.send_response(206 if found else 200)
        self.send_header("Accept-Ranges", "bytes")
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.end_headers()
        limit = len(data) if self.server.cut_at is None else int(self.server.cut_at * len(data))
        with contextlib.suppress(OSError):  # who asked went away
            self.wfile.write(data[start : min(end + 1, limit)] if start < limit else data[start : end + 1])
        self.close_connection = True

    def log_message(self, *_) -> None:
        pass


class Camera(socketserver.ThreadingTCPServer):
    """MJPEG over HTTP: JPEGs with the pauses before them; the link stays open after the last.

    Attributes:
        num_links: how often it was connected to.
        sent_s: when each JPEG was sent (`time.monotonic`).
    """

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, parts: list[tuple[float, bytes]]) -> None:
        self.parts, self.num_links, self.sent_s = parts, 0, []
        super().__init__(("127.0.0.1", 0), _CameraHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/cam"


class _CameraHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.num_links += 1
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        try:
            for pause_s, jpeg in self.server.parts:
                time.sleep(pause_s)
                self.server.sent_s.append(time.monotonic())
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.request.sendall(head.encode() + jpeg + b"\r\n")
            time.sleep(30)
        except OSError:
            pass
