"""A Hugging Face Hub on 127.0.0.1, small enough to read, that can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "hf_local_test_token"
NEW_COMMIT = "f" * 40


class FakeHub:
    """Repositories ``{repo_id: {commit: {filename: bytes}}}`` behind the Hub's protocol; large files live on a second host
    ("localhost", the CDN), as on the real Hub, where the token must not follow.

    Faults: ``private`` repo ids need the token, ``status`` answers everything with that code, ``cuts`` holds after how many
    bytes the next downloads are cut, ``delay`` is waited between the two halves of a file (seconds), ``swapped`` is what
    the CDN sends in place of a file, ``ranges`` False ignores Range, ``stated_size`` is claimed instead of the true size.
    """

    def __init__(self):
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.cuts: list[int] = []
        self.status = 0
        self.delay = 0.0
        self.swapped: bytes | None = None
        self.ranges = True
        self.stated_size: int | None = None
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.uploads: dict[str, bytes] = {}
        self.commits: list[list[dict]] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> FakeHub:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def asked(self, method: str, prefix: str = "/") -> list[dict[str, str]]:
        """The headers of the requests of that kind so far."""
        return [headers for verb, path, headers in self.requests if verb == method and path.startswith(prefix)]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Requests are kept in ``hub.requests`` instead."""

    def do_HEAD(self):
        self._note()
        self._cdn(head=True) if self.path.startswith("/cdn/") else self._resolve()

    def do_GET(self):
        self._note()
        self._cdn(head=False) if self.path.startswith("/cdn/") else self._resolve()

    def do_PUT(self):
        self._note()
        self.hub.uploads[self.path.rsplit("/", 1)[1]] = self._body()
        self._json({})

    def do_POST(self):
        self._note()
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._json({"error": "Invalid credentials"}, 401)
        elif self.hub.status:
            self._json({"error": "told to"}, self.hub.status)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            self._json({"url": f"{self.hub.endpoint}/{asked['organization']}/{asked['name']}"})
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {True: "lfs", False: "regular"}
            files = [{"path": n, "uploadMode": modes[n.endswith(".safetensors")], "shouldIgnore": False} for n in names]
            self._json({"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            where = f"{self.hub.endpoint}/lfs"
            objects = [{**o, "actions": {"upload": {"href": f"{where}/{o['oid']}"}}} for o in json.loads(body)["objects"]]
            self._json({"transfer": "basic", "objects": objects}, kind="application/vnd.git-lfs+json")
        elif "/commit/" in self.path:
            self.hub.commits.append([json.loads(line) for line in body.splitlines()])
            repo = self.path.removeprefix("/api/models/").split("/commit/")[0]
            self._json({"success": True, "commitOid": NEW_COMMIT, "commitUrl": f"{self.hub.endpoint}/{repo}/commit/{NEW_COMMIT}"})
        else:
            self._json({"error": "no such route"}, 404)

    def _resolve(self):
        """/{owner}/{name}/resolve/{commit}/{file}: where the file is, as headers and a redirect to the CDN."""
        repo, _, rest = unquote(self.path).lstrip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        allowed = repo not in self.hub.private or self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.hub.status:
            return self._refuse(self.hub.status, "")
        if repo not in self.hub.repos or not allowed:
            return self._refuse(401, "RepoNotFound")  # the Hub does not tell a private repository from none
        if commit not in self.hub.repos[repo]:
            return self._refuse(404, "RevisionNotFound")
        if name not in self.hub.repos[repo][commit]:
            return self._refuse(404, "EntryNotFound")
        content = self.hub.repos[repo][commit][name]
        digest = hashlib.sha256(content).hexdigest()
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/cdn/{repo}/{commit}/{name}")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(self.hub.stated_size or len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _cdn(self, head: bool):
        _, _, owner, name, commit, file = self.path.split("/", 5)
        content = self.hub.repos[f"{owner}/{name}"][commit][file] if self.hub.swapped is None else self.hub.swapped
        start = 0
        if self.hub.ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not head:
            self._send(content[start:])

    def _send(self, body: bytes):
        if self.hub.cuts and (cut := self.hub.cuts.pop(0)) < len(body):
            self.wfile.write(body[:cut])
            self.close_connection = True
            return
        half = len(body) // 2
        try:
            self.wfile.write(body[:half])
            self.wfile.flush()
            time.sleep(self.hub.delay)
            self.wfile.write(body[half:])
        except ConnectionError:  # the client had waited long enough
            self.close_connection = True

    def _refuse(self, status: int, code: str):
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, document: dict, status: int = 200, kind: str = "application/json"):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _note(self):
        self.hub.requests.append((self.command, self.path, dict(self.headers)))
