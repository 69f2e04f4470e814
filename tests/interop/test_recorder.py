"""The recording server itself."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.interop.answers import PONG, Answer
from tests.interop.recorder import Recorder

CALLS = [
    ("/v1/chat/completions", {"model": "m"}),
    ("/v1/responses", {"model": "m"}),
    ("/v1/messages?beta=true", {"model": "m"}),
]
GEMINI = [
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    "/v1internal:generateContent",
]


def ask(server: Recorder, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), named)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def server(recorder: Recorder) -> Recorder:
    return recorder


@pytest.mark.parametrize(("path", "body"), CALLS)
@pytest.mark.parametrize("streaming", [False, True])
def test_each_api_is_answered_in_both_ways(server: Recorder, path: str, body: dict[str, Any], streaming: bool) -> None:
    status, kind, text = ask(server, "POST", path, body | {"stream": streaming})
    assert (status, kind) == (200, "text/event-stream" if streaming else "application/json")
    assert PONG in text
    if streaming:
        data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
        assert len([json.loads(line) for line in data]) > 2


@pytest.mark.parametrize("path", GEMINI)
def test_gemini(server: Recorder, path: str) -> None:
    status, _, text = ask(server, "POST", path, {})
    assert status == 200
    assert PONG in text
    assert ("response" in json.loads(text.removeprefix("data: "))) == path.startswith("/v1internal")


def test_models_are_listed(server: Recorder) -> None:
    assert json.loads(ask(server, "GET", "/v1/models")[2])["data"][0]["id"] == "fake-model"


def test_credentials_are_recorded_wherever_they_are(server: Recorder) -> None:
    ask(server, "POST", "/v1/messages", {}, x_api_key="fake-key-1")
    ask(server, "POST", "/v1/responses", {}, Authorization="Bearer fake-key-2")
    ask(server, "POST", "/v1beta/models/m:generateContent?key=fake-key-3", {})
    ask(server, "POST", "/v1/chat/completions", {})
    ask(server, "GET", "/git", Authorization="Basic " + base64.b64encode(b"me:fake-key-4").decode())
    assert server.sent() == ["fake-key-1", "fake-key-2", "fake-key-3", ""]
    assert server.requests[-1].secret == "me:fake-key-4"
    assert server.requests[0].headers["x-api-key"] == "fake-key-1"
    ask(server, "POST", "/v1/messages", {}, x_api_key="fake-key-1", Authorization="Bearer fake-key-2")
    with pytest.raises(AssertionError, match="2 different"):
        server.sent()


def test_refused_tokens_get_401_until_accepted(server: Recorder) -> None:
    server.refuse("fake-key-1")
    assert ask(server, "POST", "/v1/messages", {}, x_api_key="fake-key-1")[0] == 401
    assert ask(server, "POST", "/v1/messages", {}, x_api_key="fake-key-2")[0] == 200
    basic = "Basic " + base64.b64encode(b"me:fake-key-1").decode()
    assert ask(server, "GET", "/anything", Authorization=basic)[0] == 401
    server.accept("fake-key-1")
    assert ask(server, "POST", "/v1/messages", {}, x_api_key="fake-key-1")[0] == 200


def test_a_loop_ends_at_the_cap() -> None:
    with Recorder(cap=2) as server:
        assert [ask(server, "GET", "/v1/models")[0] for _ in range(3)] == [200, 200, 429]


def test_a_test_may_answer_itself(server: Recorder) -> None:
    server.answers.append(lambda request: Answer(418) if request.place == "/tea" else None)
    assert ask(server, "GET", "/tea?hot")[0] == 418
    assert ask(server, "GET", "/coffee")[0] == 200
    assert [request.path for request in server.wait(2, models=False)] == ["/tea?hot", "/coffee"]
    server.clear()
    assert server.requests == []
    with pytest.raises(AssertionError, match="0 of 1"):
        server.wait(1, patience=0.01)


def test_a_chunked_body_is_read(server: Recorder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/v1/messages", iter([b'{"stream":', b"true}"]), encode_chunked=True)
    assert connection.getresponse().getheader("Content-Type") == "text/event-stream"
    connection.close()
    assert server.requests[0].json == {"stream": True}


def test_as_a_program() -> None:
    words = [sys.executable, "-m", "tests.interop.recorder", "--refuse", "fake-key-1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            port = int(json.loads(program.stdout.readline())["url"].rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", "/v1/messages", "{}", {"x-api-key": "fake-key-1"})
            assert connection.getresponse().status == 401
            connection.close()
            assert json.loads(program.stdout.readline())["headers"]["x-api-key"] == "fake-key-1"
        finally:
            program.send_signal(signal.SIGTERM)
