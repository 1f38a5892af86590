"""Playing back what was recorded of a live account (``wellkept record``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept.clock import Clock
from wellkept.recording import FORMAT, ORIGIN
from wellkept.testing.clock import FakeClock
from wellkept.testing.faults import Answer
from wellkept.testing.simulator import Simulator

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Recording(Simulator):
    """A simulator that knows only what was recorded.

    A request gets the answers that an equal one got, one after the other, and then the last of them. Where none is equal (a
    time in it differs), it gets those of requests with the same method, path and names of parameters; else 404. Any credential
    is good, and a token endpoint (``.../token``) always gives one.

    Args:
        folder: What ``wellkept record`` wrote.
        clock: The time; by default it stands where the recording was made.
        seed: See `Simulator`.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None, seed: int = 0) -> None:
        about = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"{folder}: this recording has format {about['format']}, and this Wellkept plays {FORMAT}")
        super().__init__(clock=clock or FakeClock(about["recorded_at"]), seed=seed)
        self.recorded_at: int = about["recorded_at"]
        """When it was made, epoch ms; a good `Case.start`."""
        self.plugin: str = about["plugin"]
        """The plugin that it was made with."""
        self._answers: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        self._alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        self._played: dict[tuple[Any, ...], int] = {}
        for path in sorted(folder.glob("[0-9]*.json")):
            exchange = json.loads(path.read_text(encoding="utf-8"))
            request = exchange["request"]
            body = request.get("json", request.get("form"))
            exact, alike = _keys(request["method"], request["path"], request["params"], body)
            self._answers.setdefault(exact, []).append(exchange["answer"])
            self._alike.setdefault(alike, []).append(exchange["answer"])

    def routes(self) -> Sequence[BaseRoute]:
        """Return one route for everything."""
        return [Route("/{path:path}", self._play, methods=list(METHODS))]

    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in nobody's words: a recording does not know its vendor's."""
        body = json.dumps({"error": {"status": status, "code": code}}).encode()
        return Answer(status, {"content-type": "application/json"}, body)

    async def _play(self, request: Request) -> Response:
        body, origin = await request.body(), f"{request.url.scheme}://{request.url.netloc}"
        params = [list(pair) for pair in parse_qsl(request.url.query, keep_blank_values=True)]
        sent = _sent(body, request.headers.get("content-type", ""))
        keys = _keys(request.method, request.url.path, _placed(params, origin), _placed(sent, origin))
        for key, answers in zip(keys, (self._answers, self._alike), strict=True):
            if key in answers:
                number = self._played.get(key, 0)
                self._played[key] = number + 1
                return _response(answers[key][min(number, len(answers[key]) - 1)], origin)
        if request.method == "POST" and request.url.path.rstrip("/").endswith(("/token", "/tokens")):
            token = {"access_token": "recorded-token", "refresh_token": "recorded-refresh", "token_type": "bearer"}
            return Response(json.dumps(token | {"expires_in": 7200}), media_type="application/json")
        missing = {"error": f"{request.method} {request.url.path} was not recorded with these parameters"}
        return Response(json.dumps(missing), 404, media_type="application/json")


def _keys(method: str, path: str, params: Any, body: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the key of a request, and that of all requests like it."""
    pairs = sorted((str(name), str(value)) for name, value in params)
    names = tuple(sorted({name for name, _ in pairs}))
    return (method, path, tuple(pairs), json.dumps(body, sort_keys=True)), (method, path, names)


def _sent(body: bytes, kind: str) -> Any:
    if not body:
        return None
    if "form-urlencoded" in kind:
        return [list(pair) for pair in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)]
    try:
        return json.loads(body)
    except ValueError:
        return None


def _placed(value: Any, origin: str) -> Any:
    """Return what was sent with our own address written as recordings write it."""
    return json.loads(json.dumps(value).replace(origin, ORIGIN))


def _response(answer: dict[str, Any], origin: str) -> Response:
    headers = {name: value.replace(ORIGIN, origin) for name, value in answer["headers"].items()}
    if "json" in answer:
        text = json.dumps(answer["json"], ensure_ascii=False)
    elif "lines" in answer:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in answer["lines"])
    else:
        text = urlencode(answer["form"]) if "form" in answer else answer.get("text", "")
    return Response(text.replace(ORIGIN, origin), answer["status"], headers)
