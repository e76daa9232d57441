"""The explorer served on this machine alone, made anew whenever the archive has grown."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from nas.report.explorer.page import as_json, explorer_page
from nas.terminal.output import print_note

_POLL_S = 3.0
_WATCHED = ("archive.sqlite", "archive.sqlite-wal", "stages/finish.json", "stages/evaluate.json")


class News:
    """The records of runs, read again when a file that they come from has changed."""

    def __init__(self, records: Callable[[], list[dict[str, Any]]], folders: Sequence[Path]) -> None:
        self._records, self._folders, self._lock = records, folders, Lock()
        self._made: tuple[str, list[dict[str, Any]]] | None = None

    @property
    def state(self) -> str:
        """Changes whenever the records may."""
        stamps = []
        for path in (folder / name for folder in self._folders for name in _WATCHED):
            stamps.append(path.stat().st_mtime_ns if path.exists() else 0)
        return "-".join(map(str, stamps))

    def get(self) -> tuple[str, list[dict[str, Any]]]:
        """The state, and the records of it."""
        with self._lock:
            state = self.state
            if self._made is None or self._made[0] != state:
                self._made = state, self._records()
            return self._made


def handler_of(news: News) -> type[BaseHTTPRequestHandler]:
    """Answers / with the page and /records?STATE with what is newer than that state, or 204."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, known = self.path.partition("?")
            if path == "/":
                self._answer(200, "text/html", explorer_page(news.get()[1], poll_s=_POLL_S))
            elif path == "/records" and known == news.state:
                self._answer(204, "application/json", "")
            elif path == "/records":
                state, runs = news.get()
                self._answer(200, "application/json", as_json({"state": state, "runs": runs}))
            else:
                self._answer(404, "text/plain", "not found")

        def _answer(self, code: int, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of requests."""

    return Handler


def serve(records: Callable[[], list[dict[str, Any]]], folders: Sequence[Path], port: int, opens: bool) -> int:
    """Serve on 127.0.0.1 until interrupted. Raises OSError for a port that is taken."""
    news = News(records, folders)
    news.get()
    with ThreadingHTTPServer(("127.0.0.1", port), handler_of(news)) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(address, flush=True)
        print_note("serving to this machine alone; Ctrl-C ends it")
        if opens:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
