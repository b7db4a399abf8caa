"""A server of one file on loopback that can do what servers do to a download."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal


@dataclass
class Site:
    """What is served, and how; `asked` and `sent` tell what came of it, an item a request."""

    body: bytes
    tag: str = '"first"'  # the ETag; empty: none
    date: str = ""  # Last-Modified; empty: none
    ranges: bool = True  # False: always sends all of it
    compares: bool = True  # False: sends a part even when If-Range names another content
    shift: int = 0  # sends parts from that much later on than was asked
    framing: Literal["length", "chunks", "nothing"] = "length"  # how the client knows the end
    statuses: list[int] = field(default_factory=list)  # answers before the file is sent
    cuts: list[int] = field(default_factory=list)  # after how many bytes each of the next answers breaks off
    how: Literal["close", "reset", "stall"] = "close"
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    outwaited: bool = False  # whether a stall ended before the download left
    over: threading.Event = field(default_factory=threading.Event)  # ends a stall


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve a site; the URL of its file. What else is asked for is not found."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(dict(self.headers.items()))
            status = site.statuses.pop(0) if site.statuses else 200 if self.path == "/file" else 404
            if status != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, content = self.part()
            cut = site.cuts.pop(0) if site.cuts else None
            self.send_file(start, content, content if cut is None else content[:cut])
            if cut is not None:
                self.break_off()

        def part(self) -> tuple[int, bytes]:
            """From where on to send, and what."""
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            same = self.headers.get("If-Range") in (None, site.tag, site.date)
            if wanted is None or not site.ranges or (site.compares and not same):
                return 0, site.body
            start = int(wanted[1]) + site.shift
            return start, site.body[start:]

        def send_file(self, start: int, content: bytes, really: bytes) -> None:
            partial = "Range" in self.headers and (start or not site.compares)
            if partial and not content:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
            for name, value in (("ETag", site.tag), ("Last-Modified", site.date)):
                if value:
                    self.send_header(name, value)
            site.sent.append(len(really))
            chunked = site.framing == "chunks"
            if site.framing == "length":
                self.send_header("Content-Length", str(len(content)))
            elif chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(content) + really if chunked and content else really)
            if chunked and really == content:
                self.wfile.write(b"\r\n0\r\n\r\n")

        def break_off(self) -> None:
            if site.how == "stall":
                site.outwaited = not site.over.wait(10)
            if site.how == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # so that closing waits for them
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/file"
    finally:
        site.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
