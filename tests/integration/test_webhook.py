"""Each row of the webhook's table of answers, over a real database."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config.settings import Settings
from tests.support.builders import TOKEN, payload_of, translated
from tests.support.flask_app import app_over, post, rows_of, run
from tests.support.samples import CLICKED, NOBODY, OPENED, changed

MIB = 1024 * 1024

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
"""How gunicorn hands on a chunked body: it has no length, and the server ends it."""


CREATED = changed(b"subscriber.opened_email", b"subscriber.created")

UNREADABLE = {
    "nothing": b"",
    "bytes": bytes(range(256)),
    "form": b"event=subscriber.opened_email&email=ana%40example.com",
    "nan": changed(b'"d1"', b"NaN"),
    "1e400": changed(b'"d1"', b"1e400"),
    "digits": changed(b'"d1"', b"9" * 5000),
    "deep": changed(b'"d1"', b"[" * 100_000),
    "deep, closed": changed(b'"d1"', b"[" * 900 + b"]" * 900),
    "workflow": b'{"subscriber": {"id": "s9x", "email": "ana@example.com"}}',
    "nobody": NOBODY,
    "when": changed(b"2026-11-02T", b"yesterday T"),
    "over 32 KB": changed(b"Hola", b"x" * (32 << 10)),
    "1 MiB": b"x" * MIB,
}

ODD_TEXT = {
    "nul": changed(b"Hola", b"\\u0000"),
    "surrogate": changed(b"Hola", b"\\ud800"),
    "utf-16": OPENED.decode().encode("utf-16"),
    "nul in the user_id": changed(b"u-81", b"u\\u0000"),
    "surrogate in a name": changed(b"email_subject", b"\\udfff"),
}


class Watched(BytesIO):
    """A body that knows how much of it was read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.bytes_read += count
        return count


def test_an_event_is_accepted_and_kept(app: Flask, client: FlaskClient) -> None:
    before = time.time()
    response = post(client, CLICKED)

    call = translated(CLICKED)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.get_json() == {
        "status": "accepted",
        "event": "Email Link Clicked",
        "message_id": call.message_id,
    }
    (row,) = rows_of(app)
    assert row.raw == CLICKED
    assert (row.message_id, row.payload, row.account) == (call.message_id, call.payload, "4417")
    assert (row.state, row.error, row.tries) == ("pending", None, 0)
    assert before <= row.received_at == row.due_at <= time.time()


def test_an_event_without_a_time_has_the_time_of_receipt(app: Flask, client: FlaskClient) -> None:
    post(
        client, b'{"event": "subscriber.bounced", "data": {"subscriber": {"email": "a@b.example"}}}'
    )
    (row,) = rows_of(app)
    told = json.loads(row.payload)["timestamp"]
    assert told == json.loads(payload_of(row.raw, row.received_at))["timestamp"]


def test_an_event_seen_before_is_a_duplicate_and_not_kept_twice(
    app: Flask, client: FlaskClient
) -> None:
    first = post(client, OPENED).get_json()
    again = post(client, changed(b"Europe/Madrid", b"Europe/Lisbon"))
    assert again.status_code == 200
    assert again.get_json() == {"status": "duplicate", "message_id": first["message_id"]}
    assert [row.raw for row in rows_of(app)] == [OPENED]


def test_another_event_of_the_same_person_is_no_duplicate(app: Flask, client: FlaskClient) -> None:
    assert post(client, OPENED).get_json()["status"] == "accepted"
    assert post(client, changed(b"29:30Z", b"29:31Z")).get_json()["status"] == "accepted"
    assert len(rows_of(app)) == 2


def test_what_is_not_an_email_event_is_ignored_and_not_kept(
    app: Flask, client: FlaskClient
) -> None:
    response = post(client, CREATED)
    assert response.status_code == 200
    assert response.get_json() == {"status": "ignored", "event": "subscriber.created"}
    post(client, OPENED)  # the first put makes the table
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_quarantined_to_the_byte(
    body: bytes, app: Flask, client: FlaskClient
) -> None:
    response = post(client, body)
    assert response.status_code == 200
    answer = response.get_json()
    assert answer["status"] == "quarantined"
    assert "fault" not in response.get_data(as_text=True)
    (row,) = rows_of(app)
    assert row.raw == body
    assert (row.state, row.payload) == ("quarantined", None)
    assert json.loads(row.error) == answer["errors"] != {}


def test_a_quarantined_post_is_answered_field_by_field(client: FlaskClient) -> None:
    assert post(client, NOBODY).get_json() == {
        "status": "quarantined",
        "errors": {
            "data.subscriber": ["Neither user_id nor email: nobody to attribute the event to."]
        },
    }


def test_the_same_unreadable_body_is_kept_once(app: Flask, client: FlaskClient) -> None:
    answers = [post(client, NOBODY).get_json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == "quarantined"
    post(client, NOBODY + b" ")
    assert [row.raw for row in rows_of(app)] == [NOBODY, NOBODY + b" "]


@pytest.mark.parametrize("body", ODD_TEXT.values(), ids=ODD_TEXT)
def test_text_that_databases_refuse_is_accepted_all_the_same(
    body: bytes, app_on_each_engine: Flask
) -> None:
    response = post(app_on_each_engine.test_client(), body)
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app_on_each_engine)] == [body]


def test_what_cannot_be_read_is_quarantined_on_each_engine(app_on_each_engine: Flask) -> None:
    client = app_on_each_engine.test_client()
    bodies = list(UNREADABLE.values())
    answers = [post(client, body).get_json()["status"] for body in bodies]
    assert answers == ["quarantined"] * len(bodies)
    assert [row.raw for row in rows_of(app_on_each_engine)] == bodies


@pytest.mark.parametrize(
    "kwargs",
    [
        {"query_string": ""},
        {"query_string": "token="},
        {"query_string": "token=a-token-for-the-test"},
        {"query_string": f"token={TOKEN}x"},
        {"query_string": f"token=wrong&token={TOKEN}"},
        {"query_string": f"TOKEN={TOKEN}"},
        {"query_string": "token=%ff%00"},
        {"query_string": "", "auth": ("", "wrong")},
        {"query_string": "", "auth": (TOKEN, "")},
        {"query_string": "token=wrong", "auth": ("", TOKEN)},
        {"query_string": "", "headers": {"Authorization": "Bearer a-token-of-somebody"}},
        {"query_string": "", "headers": {"X-Token": TOKEN}},
    ],
    ids=str,
)
@pytest.mark.parametrize("body", [OPENED, b"not json"], ids=["event", "not json"])
def test_nothing_is_kept_without_the_token(
    kwargs: Mapping[str, Any], body: bytes, app: Flask, client: FlaskClient
) -> None:
    response = post(client, body, **kwargs)
    assert response.status_code == 401
    assert response.get_json() == {"status": "refused", "error": "Token missing or wrong."}
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    post(client, CLICKED)
    assert [row.raw for row in rows_of(app)] == [CLICKED]


def test_the_token_in_a_posted_form_does_not_count(client: FlaskClient) -> None:
    form = {"content_type": "application/x-www-form-urlencoded", "query_string": ""}
    assert post(client, f"token={TOKEN}".encode(), **form).status_code == 401


@pytest.mark.parametrize("user", ["", "drip", "é"])
def test_the_token_may_come_as_the_basic_password(user: str, client: FlaskClient) -> None:
    credentials = b64encode(f"{user}:{TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    response = post(client, OPENED, query_string="", headers=headers)
    assert response.get_json()["status"] == "accepted"


OF_4417, OF_5150 = "the-token-of-account-4417", "the-token-of-account-5150"


@pytest.fixture
def bound(settings: Settings) -> Iterator[Flask]:
    """A bridge with a token for any account, and one for each of two."""
    with app_over(replace(settings, account_tokens={OF_4417: "4417", OF_5150: "5150"})) as app:
        yield app


def test_a_token_of_one_account_posts_for_that_account_alone(bound: Flask) -> None:
    client = bound.test_client()
    of_4417, of_nobody = OPENED, changed(b'"account_id": "4417",', b"")
    outcomes = [
        post(client, body, token).get_json()
        for body, token in [(of_4417, OF_5150), (of_nobody, OF_4417), (of_4417, OF_4417)]
    ]
    assert [outcome["status"] for outcome in outcomes] == ["quarantined", "quarantined", "accepted"]
    assert list(outcomes[0]["errors"]) == list(outcomes[1]["errors"]) == ["data.account_id"]
    assert sorted((row.state, row.account) for row in rows_of(bound)) == [
        ("pending", "4417"),
        ("quarantined", "4417"),
        ("quarantined", "5150"),
    ]
    assert post(client, of_4417, OF_4417 + "x").status_code == 401


def test_another_accounts_event_stays_in_quarantine(bound: Flask) -> None:
    post(bound.test_client(), OPENED, OF_5150)
    result = run(bound, "retry", "--state", "quarantined", "--yes")
    assert "1 event: still cannot be read, and stays rejected." in result.stdout
    assert [(row.state, row.account) for row in rows_of(bound)] == [("quarantined", "5150")]


def test_a_bridge_without_a_token_admits_nobody(settings: Settings) -> None:
    with app_over(replace(settings, webhook_tokens=())) as app:
        assert post(app.test_client(), OPENED, "").status_code == 401


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
def test_a_body_over_1_mib_is_refused(
    chunked: bool, size: int, app: Flask, client: FlaskClient
) -> None:
    stream = Watched(b"x" * size)
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=stream,
        environ_overrides=CHUNKED if chunked else {},
    )
    assert response.status_code == 413
    assert stream.bytes_read <= 2 * MIB
    assert response.get_json() == {"status": "refused", "error": "Request Entity Too Large"}
    post(client, OPENED)
    assert [row.raw for row in rows_of(app)] == [OPENED]


def test_a_chunked_body_is_read_whole(app: Flask, client: FlaskClient) -> None:
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=BytesIO(OPENED),
        environ_overrides=CHUNKED,
    )
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("terminated", [False, True], ids=["by the client", "by the server"])
def test_half_a_body_is_not_kept(terminated: bool, app: Flask, client: FlaskClient) -> None:
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=BytesIO(OPENED[:100]),
        environ_overrides={
            "CONTENT_LENGTH": str(len(OPENED)),
            "wsgi.input_terminated": terminated,
        },
    )
    assert response.status_code == 400
    assert response.get_json() == {"status": "refused", "error": "Bad Request"}
    post(client, CLICKED)
    assert [row.raw for row in rows_of(app)] == [CLICKED]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset=utf-16",
        "image/png",
        "no type at all",
    ],
)
def test_the_content_type_does_not_matter(
    content_type: str | None, app: Flask, client: FlaskClient
) -> None:
    response = post(client, OPENED, content_type=content_type)
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_in_json(method: str, client: FlaskClient) -> None:
    response = client.open(f"/webhooks/drip?token={TOKEN}", method=method)
    assert response.status_code == 405
    assert response.get_json() == {"status": "refused", "error": "Method Not Allowed"}
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/webhooks/nothing-here", "/webhooks"])
def test_another_address_is_not_found_in_json(path: str, client: FlaskClient) -> None:
    response = client.post(f"{path}?token={TOKEN}", data=OPENED)
    assert response.status_code == 404
    assert response.get_json() == {"status": "refused", "error": "Not Found"}


def test_what_flask_answers_by_itself_is_answered(client: FlaskClient) -> None:
    answer = client.options("/webhooks/drip")
    assert answer.status_code == 200
    assert answer.allow.as_set() == {"options", "post"}


def test_a_slash_at_the_end_of_the_address_is_no_other_address(client: FlaskClient) -> None:
    answer = client.post("/webhooks/drip/", query_string={"token": TOKEN}, data=b"{broken")
    assert answer.status_code == 200
    assert answer.json["status"] == "quarantined"  # type: ignore[index]
