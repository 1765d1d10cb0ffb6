"""Calls for Drip over a real wire: what Drip gets, and what each of its answers means."""

import base64
import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.clients import drip_wire
from app.clients.drip_api import API
from app.destination import (
    BatchRejected,
    Destination,
    Forbidden,
    InvalidKey,
    RateLimited,
    RetryableError,
    SendError,
    Unreachable,
)
from app.logs import configure_logs
from app.segment_to_drip import destination as module
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.sending.operations import Operation
from app.version import VERSION
from tests.support.drip_requests import Reply, refusal
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, TOKEN, FakeDripRest
from tests.support.ports import free_port
from tests.support.pretend_budget import PretendBudget

KEY = f"{ACCOUNT}={TOKEN}"
BASIC = base64.b64encode(f"{TOKEN}:".encode()).decode()

EMAIL = "jo.doe@example.com"
JO = Operation("subscriber", {"email": EMAIL, "tags": ["añá"], "initial_status": "unsubscribed"})
BO = Operation("subscriber", {"email": "bo@example.com"})
SEEN = Operation("event", {"email": EMAIL, "action": "Seen", "properties": {"value": 5, "a": "b"}})
JOIN = Operation("campaign", {"email": EMAIL, "reactivate_if_removed": False}, CAMPAIGN)

SUBSCRIBERS = f"POST /v2/{ACCOUNT}/subscribers"
EVENTS = f"POST /v2/{ACCOUNT}/events"
JOINS = f"POST /v2/{ACCOUNT}/campaigns/{CAMPAIGN}/subscribers"
ACCOUNTS = "GET /v2/accounts"

RESPONSES = {
    case["name"]: case
    for case in json.loads(
        (Path(__file__).parents[1] / "golden" / "drip_responses.json").read_text(encoding="utf-8")
    )
}


@pytest.fixture
def fake() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake


@pytest.fixture
def budget() -> PretendBudget:
    return PretendBudget()


@pytest.fixture
def drip(fake: FakeDripRest, budget: PretendBudget) -> DripDestination:
    return DripDestination({}, (ACCOUNT, TOKEN), budget, fake.url)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in earnest, with shorter times."""
    monkeypatch.setattr(drip_wire, "READ_TIMEOUT", 0.5)
    monkeypatch.setattr(drip_wire, "WHOLE_EXCHANGE", 1.0)


def send(drip: DripDestination, *operations: Operation) -> str:
    return drip.send(KEY, [operation.to_json() for operation in operations])


def error_of(drip: DripDestination, *operations: Operation) -> SendError:
    with pytest.raises(SendError) as caught:
        send(drip, *(operations or (JO,)))
    assert EMAIL not in str(caught.value)
    assert TOKEN not in str(caught.value) + caught.value.words
    return caught.value


def errors(status: int, *faults: Mapping[str, str]) -> Reply:
    return Reply(status, json.dumps({"errors": faults}).encode())


def item(fake: FakeDripRest, number: int = -1) -> Any:
    """The only item of a request."""
    [only] = fake.visits[number].items
    return only


def test_a_single_call_is_sent_as_drip_documents(fake: FakeDripRest, drip: DripDestination) -> None:
    assert send(drip, JO) == send(drip, SEEN) == send(drip, JOIN) == ""
    assert fake.lines() == [SUBSCRIBERS, EVENTS, JOINS]
    assert [visit.body for visit in fake.visits] == [
        {"subscribers": [JO.item]},
        {"events": [SEEN.item]},
        {"subscribers": [JOIN.item]},
    ]
    for visit in fake.visits:
        assert visit.headers["Authorization"] == f"Basic {BASIC}"
        assert visit.headers["User-Agent"] == f"drip-segment-bridge/{VERSION}"
        assert visit.headers["Content-Type"] == "application/json"
        assert visit.headers["Accept"] == "application/json"
    jo = fake.person(EMAIL)
    assert (jo.tags, len(jo.events), jo.campaigns) == ({"añá"}, 1, {CAMPAIGN})
    assert fake.violations == []


def test_several_calls_are_sent_as_one_batch(
    fake: FakeDripRest, drip: DripDestination, budget: PretendBudget
) -> None:
    assert send(drip, JO, BO) == send(drip, SEEN, SEEN) == ""
    assert fake.lines() == [f"{SUBSCRIBERS}/batches", f"{EVENTS}/batches"]
    assert fake.visits[0].body == {"batches": [{"subscribers": [JO.item, BO.item]}]}
    assert fake.visits[1].body == {"batches": [{"events": [SEEN.item, SEEN.item]}]}
    assert budget.log == [
        *("take batches", "49 batches remain", "take batches", "48 batches remain")
    ]


def test_a_full_batch_is_taken(fake: FakeDripRest, drip: DripDestination) -> None:
    people = [Operation("subscriber", {"email": f"p{n}@example.com"}) for n in range(1000)]
    assert send(drip, *people) == ""
    assert len(fake.people()) == 1000


def test_the_real_drip_is_the_default(budget: PretendBudget) -> None:
    assert API == "https://api.getdrip.com"
    assert DripDestination.__init__.__defaults__ == (API,)
    destination: Destination = DripDestination({}, None, budget)
    assert destination.key_for("") is None
    assert destination.retry.give_up_after == 72 * 3600


@pytest.mark.parametrize(
    ("account", "key"), [("1", "1=one"), ("2", "2=two=2"), ("", "1=one"), ("3", None)]
)
def test_each_account_has_its_own_token(
    budget: PretendBudget, account: str, key: str | None
) -> None:
    drip = DripDestination({"2": "two=2"}, ("1", "one"), budget)
    assert drip.key_for(account) == key


def test_a_token_may_have_an_equals_sign(budget: PretendBudget) -> None:
    with FakeDripRest({ACCOUNT: "to=ken="}) as fake:
        drip = DripDestination({ACCOUNT: "to=ken="}, None, budget, fake.url)
        drip.send(drip.key_for(ACCOUNT) or "", [JO.to_json()])
        assert list(fake.people()) == [EMAIL]


def test_one_connection_is_kept_and_no_cookie(fake: FakeDripRest, drip: DripDestination) -> None:
    fake.behave = lambda _: Reply(headers={"Set-Cookie": "a=b; Path=/"})
    for operation in (JO, SEEN, BO, SEEN):
        send(drip, operation)
    assert fake.connections == 1
    assert not any("Cookie" in visit.headers for visit in fake.visits)


def test_a_netrc_file_does_not_replace_the_token(
    fake: FakeDripRest, drip: DripDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    send(drip, JO)
    assert fake.visits[0].headers["Authorization"] == f"Basic {BASIC}"


def reply_of(case: Mapping[str, Any]) -> Reply:
    """What the table says that Drip answers."""
    answer = case["response"]
    body = b"" if answer["body"] is None else json.dumps(answer["body"]).encode()
    return Reply(answer["status"], body, answer["headers"])


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("subscriber-ok", [JO]),
        ("event-ok", [SEEN]),
        ("batch-ok", [JO, BO]),
    ],
)
def test_every_2xx_is_taken(
    fake: FakeDripRest, drip: DripDestination, name: str, operations: list[Operation]
) -> None:
    fake.behave = lambda _: reply_of(RESPONSES[name])
    assert send(drip, *operations) == ""
    for status in (200, 201, 202, 204, 299):
        fake.behave = lambda _, status=status: Reply(status)  # type: ignore[misc]
        assert send(drip, *operations) == ""


@pytest.mark.parametrize(
    ("name", "operations", "kind"),
    [
        ("auth-failed", [JO], InvalidKey),
        ("validation-email", [JO], BatchRejected),
        ("batch-wrong-wrapper", [JO, BO], BatchRejected),
        ("parsing-error", [SEEN], BatchRejected),
        ("bad-json", [SEEN], BatchRejected),
        ("rate-limit-hour", [SEEN], RateLimited),
        ("rate-limit-same-subscriber", [JO], RateLimited),
        ("server-error", [SEEN], RetryableError),
        ("not-implemented", [SEEN], BatchRejected),
    ],
)
def test_every_refusal_of_the_table_is_understood(
    fake: FakeDripRest,
    drip: DripDestination,
    name: str,
    operations: list[Operation],
    kind: type[SendError],
) -> None:
    fake.behave = lambda _: reply_of(RESPONSES[name])
    error = error_of(drip, *operations)
    assert type(error) is kind
    assert f"HTTP {RESPONSES[name]['response']['status']}" in str(error)
    assert len(fake.visits) == 1


def answer_to(fake: FakeDripRest, line: str, reply: Reply, otherwise: Reply | None = None) -> None:
    """Answer this one line with the reply."""
    fake.behave = lambda visit: reply if visit.line == line else otherwise


NOT_LISTED = Reply(200, b'{"links": {}, "accounts": [{"id": "1"}]}')
NOT_AUTHORISED = reply_of(RESPONSES["account-disabled"])
NOT_FOUND = reply_of(RESPONSES["not-found-account"])


@pytest.mark.parametrize(
    ("accounts", "forbidden", "not_found"),
    [
        pytest.param(None, Forbidden, BatchRejected, id="listed"),
        pytest.param(NOT_LISTED, InvalidKey, InvalidKey, id="not listed"),
        pytest.param(Reply(401), InvalidKey, InvalidKey, id="refused"),
        pytest.param(Reply(404), InvalidKey, InvalidKey, id="not found"),
        pytest.param(Reply(200, b"<html>"), Forbidden, Forbidden, id="not Drip's"),
        pytest.param(Reply(429), Forbidden, Forbidden, id="none left"),
        pytest.param(Reply(503), RetryableError, RetryableError, id="out of order"),
    ],
)
@pytest.mark.parametrize("operations", [[JO], [SEEN], [JO, BO]])
def test_the_list_of_accounts_decides_who_a_403_or_404_is_about(
    fake: FakeDripRest,
    drip: DripDestination,
    budget: PretendBudget,
    operations: list[Operation],
    accounts: Reply | None,
    forbidden: type[SendError],
    not_found: type[SendError],
) -> None:
    for reply, kind in ((NOT_AUTHORISED, forbidden), (NOT_FOUND, not_found)):
        fake.behave = lambda visit, reply=reply: (  # type: ignore[misc]
            accounts if visit.line == ACCOUNTS else reply
        )
        fake.visits.clear()
        budget.log.clear()
        assert type(error_of(drip, *operations)) is kind
        assert fake.lines()[1:] == [ACCOUNTS]
        assert budget.log.count("take requests") == (1 if len(operations) > 1 else 2)


@pytest.mark.parametrize("reply", [NOT_AUTHORISED, NOT_FOUND])
def test_without_budget_the_accounts_are_not_asked_for(fake: FakeDripRest, reply: Reply) -> None:
    drip = DripDestination({}, (ACCOUNT, TOKEN), PretendBudget(left=1), fake.url)
    fake.behave = lambda _: reply
    assert type(error_of(drip)) is Forbidden
    assert fake.lines() == [SUBSCRIBERS]


def test_a_disabled_account_pauses_it(fake: FakeDripRest, drip: DripDestination) -> None:
    fake.disabled.add(ACCOUNT)
    for operations in ([JO], [SEEN], [JOIN], [JO, BO]):
        error = error_of(drip, *operations)
        assert type(error) is InvalidKey
        assert "disabled" in str(error)
    assert ACCOUNTS not in fake.lines()


@pytest.mark.parametrize("status", [403, 404, 422])
def test_what_is_wrong_with_a_campaign_is_about_that_call_alone(
    fake: FakeDripRest, drip: DripDestination, status: int
) -> None:
    fake.behave = lambda _: refusal(status, "not_found_error", "No such campaign")
    assert type(error_of(drip, JOIN)) is BatchRejected
    assert fake.lines() == [JOINS]


def test_a_page_in_place_of_a_campaign_is_not_taken_for_drips_word(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    fake.behave = lambda _: Reply(404, b"<html>Nothing here</html>")
    assert type(error_of(drip, JOIN)) is InvalidKey
    assert fake.lines() == [JOINS, ACCOUNTS]


@pytest.mark.parametrize("status", [403, 422])
def test_an_inactive_person_is_about_that_person_alone(
    fake: FakeDripRest, drip: DripDestination, status: int
) -> None:
    fake.behave = lambda _: refusal(status, "", "The subscriber is inactive")
    assert type(error_of(drip, SEEN)) is BatchRejected
    assert fake.lines() == [EVENTS]


def test_someone_subscribed_already_counts_as_done(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    fake.behave = lambda _: reply_of(RESPONSES["already-subscribed"])
    note = "answered, but fields and tags of this call may not have been applied"
    assert send(drip, JO) == note
    assert type(error_of(drip, SEEN)) is BatchRejected
    assert type(error_of(drip, JO, BO)) is BatchRejected


def test_someone_who_left_a_campaign_counts_as_done(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    fake.remove_from_campaign(EMAIL)
    assert "has left it" in send(drip, JOIN)
    for words in ("Email is already subscribed", "has been removed", "Already exists"):
        fake.behave = lambda _, words=words: refusal(422, "", words, "email")  # type: ignore[misc]
        assert send(drip, JOIN)
    fake.behave = lambda _: refusal(422, "email_error", "Email is not valid", "email")
    assert type(error_of(drip, JOIN)) is BatchRejected


def test_a_new_address_that_is_taken_gets_the_call(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    send(drip, BO)
    moved = Operation("subscriber", {**JO.item, "new_email": "bo@example.com"})
    note = send(drip, moved)
    assert fake.lines() == [SUBSCRIBERS] * 3
    assert item(fake) == {**JO.item, "email": "bo@example.com"}
    assert fake.person("bo@example.com").tags == {"añá"}
    assert EMAIL not in fake.people()
    assert "new_email" in note
    assert "example.com" not in note


SMS = Operation(
    "subscriber",
    {**JO.item, "sms_number": "+44", "time_zone": "Mars", "custom_fields": {"a": 1, "b": 2}},
)


def test_a_field_that_drip_refuses_is_left_out(
    fake: FakeDripRest, drip: DripDestination, budget: PretendBudget
) -> None:
    answers = iter([RESPONSES["validation-sms"]])
    fake.behave = lambda _: reply_of(case) if (case := next(answers, None)) else Reply(200)
    assert send(drip, SMS) == "sms_number left out: Drip answered sms_error"
    assert item(fake) == {name: SMS.item[name] for name in SMS.item if name != "sms_number"}
    assert budget.log.count("take requests") == 2

    answers = iter([RESPONSES["validation-time"]])
    timed = Operation("event", {**SEEN.item, "occurred_at": "2026-11-26T10:00:00Z"})
    assert send(drip, timed) == "occurred_at left out: Drip answered time_error"
    assert item(fake) == SEEN.item


def test_several_fields_are_left_out_at_once_or_one_after_another(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    answers = iter(
        [
            errors(
                422,
                {"code": "sms_error", "attribute": "sms_number"},
                {"code": "format_error", "attribute": "sms_number"},
                {"code": "length_error", "attribute": "custom_fields.a"},
                {"message": "It was not saved"},
            ),
            errors(402, {"message": "No such zone", "attribute": "time_zone"}),
        ]
    )
    fake.behave = lambda _: next(answers, None)
    assert send(drip, SMS) == (
        "sms_number left out: Drip answered sms_error; "
        "custom_fields.a left out: Drip answered length_error; "
        "time_zone left out: Drip answered an error"
    )
    assert item(fake) == {**JO.item, "custom_fields": {"b": 2}}
    assert fake.person(EMAIL).custom_fields == {"b": 2}


def test_fields_are_left_out_five_times_and_no_more(
    fake: FakeDripRest, drip: DripDestination
) -> None:
    fields = {f"f{n}": "x" for n in range(20)}
    fake.behave = lambda visit: refusal(
        422, "format_error", "no", f"custom_fields.{next(iter(visit.items[0]['custom_fields']))}"
    )
    error = error_of(drip, Operation("subscriber", {**JO.item, "custom_fields": fields}))
    assert type(error) is BatchRejected
    assert len(fake.visits) == 6


@pytest.mark.parametrize(
    ("operation", "attribute"),
    [
        (JO, "email"),
        (JO, "first_name"),
        (JO, "custom_fields.a"),
        (SEEN, "action"),
        (SEEN, "properties.c"),
        *((JO, name) for name in ("initial_status", "status", "status_updated_at")),
        (JOIN, "reactivate_if_removed"),
    ],
)
def test_nothing_is_left_out_that_the_call_is_about(
    fake: FakeDripRest, drip: DripDestination, operation: Operation, attribute: str
) -> None:
    """Nobody becomes active because Drip does not take the field that says otherwise."""
    fake.behave = lambda _: errors(
        422,
        {"code": "format_error", "attribute": "tags"},
        {"code": "format_error", "attribute": attribute},
    )
    assert type(error_of(drip, operation)) is BatchRejected
    assert len(fake.visits) == 1


def test_no_field_of_a_batch_is_left_out(fake: FakeDripRest, drip: DripDestination) -> None:
    fake.behave = lambda _: refusal(422, "sms_error", "no", "tags")
    assert type(error_of(drip, JO, BO)) is BatchRejected
    assert len(fake.visits) == 1


@pytest.mark.parametrize("status", [409, 422, 429])
@pytest.mark.parametrize("flat", [True, False])
def test_another_request_for_the_person_costs_no_quota(
    fake: FakeDripRest, drip: DripDestination, budget: PretendBudget, status: int, flat: bool
) -> None:
    fault = {"message": "Too many concurrent requests for the same subscriber"}
    fake.behave = lambda _: (
        Reply(status, json.dumps(fault).encode()) if flat else errors(status, fault)
    )
    error = error_of(drip)
    assert isinstance(error, RateLimited)
    assert error.wait == 2
    assert budget.log == ["take requests", "3599 requests remain", "give back requests"]
    assert budget.accounts == {ACCOUNT}


@pytest.mark.parametrize("body", [b"", b"<html>", None])
def test_an_hour_that_is_over_is_waited_for(
    fake: FakeDripRest, drip: DripDestination, budget: PretendBudget, body: bytes | None
) -> None:
    if body is None:
        fake.limits = {"requests": 0, "batches": 0}
    else:
        fake.behave = lambda _: Reply(429, body, {"X-RateLimit-Remaining": "0"})
    error = error_of(drip, JO, BO)
    assert isinstance(error, RateLimited)
    assert error.wait == 1234
    assert budget.log == ["take batches", "0 batches remain", "batches exhausted"]


def test_nothing_is_sent_without_budget(fake: FakeDripRest) -> None:
    drip = DripDestination({}, (ACCOUNT, TOKEN), PretendBudget(left=0), fake.url)
    error = error_of(drip)
    assert isinstance(error, RateLimited)
    assert error.wait == 60
    assert fake.lines() == []


@pytest.mark.parametrize(
    ("header", "reported"),
    [("17", ["17 requests remain"]), ("0", ["0 requests remain"]), ("many", []), (None, [])],
)
@pytest.mark.parametrize("status", [None, 401, 422, 503])
def test_what_drip_says_is_left_is_reported(
    fake: FakeDripRest,
    drip: DripDestination,
    budget: PretendBudget,
    status: int | None,
    header: str | None,
    reported: list[str],
) -> None:
    fake.behave = lambda _: Reply(status, headers={"X-RateLimit-Remaining": header})
    if status is None:
        send(drip, JO)
    else:
        error_of(drip)
    assert budget.log == ["take requests", *reported]


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (RetryableError, (408, 425, 500, 502, 503, 504, 520, 599)),
        (BatchRejected, (413, 422, 501, 505)),
        (InvalidKey, (300, 302, 304, 307, 401, 407)),
        (Forbidden, (400, 402, 405, 406, 409, 410, 418, 451)),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[" * 100_000, b"\xff\xfe[1]", b"7"])
def test_a_status_without_drips_words_shows_what_to_do(
    fake: FakeDripRest,
    drip: DripDestination,
    kind: type[SendError],
    statuses: tuple[int, ...],
    body: bytes,
) -> None:
    for status in statuses:
        sent = b"" if status == 304 else body
        fake.behave = lambda _, status=status, sent=sent: Reply(status, sent)  # type: ignore[misc]
        error = error_of(drip)
        assert type(error) is kind, status
        assert f"HTTP {status}" in str(error)


def test_the_wait_that_is_asked_for_is_read(fake: FakeDripRest, drip: DripDestination) -> None:
    for header, asked in (("7", 7), ("soon", None), (None, None)):
        reply = Reply(503, headers={"Retry-After": header})
        fake.behave = lambda _, reply=reply: reply  # type: ignore[misc]
        error = error_of(drip)
        assert isinstance(error, RetryableError)
        assert error.asked == asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(fake: FakeDripRest, drip: DripDestination, status: int) -> None:
    with FakeDripRest() as elsewhere:
        to = f"{elsewhere.url}/v2/{ACCOUNT}/subscribers"
        fake.behave = lambda _: Reply(status, headers={"Location": to})
        error = error_of(drip)
        assert type(error) is InvalidKey
        assert "DRIP_API_URL" in str(error)
        assert (len(fake.visits), elsewhere.visits) == (1, [])


LONG = b"x" * 300


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(cut=True), id="closed before an answer"),
        pytest.param(Reply(raw=b"HTTP/1.1 2"), id="closed in its first line"),
        pytest.param(Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), id="another protocol"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), id="body cut short"
        ),
        pytest.param(Reply(hang=3), id="hang"),
        pytest.param(Reply(200, LONG, seconds_a_byte=0.01), id="dripping body"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nA: " + LONG, seconds_a_byte=0.01),
            id="dripping headers",
        ),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_answer_that_is_not_whole_is_retryable(
    fake: FakeDripRest, drip: DripDestination, budget: PretendBudget, reply: Reply
) -> None:
    fake.behave = lambda _: reply
    started = time.monotonic()
    error = error_of(drip, SEEN)
    assert type(error) is RetryableError
    assert "no answer" in str(error)
    assert "twice" in str(error)
    assert time.monotonic() - started < 2.5
    assert "twice" not in str(error_of(drip, BO))
    assert budget.log == ["take requests"] * 2

    fake.behave = lambda _: None
    send(drip, Operation("subscriber", {"email": "al@example.com"}))
    assert "al@example.com" in fake.people()


def test_all_requests_of_a_call_end_in_time(
    fake: FakeDripRest, drip: DripDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE_SEND", 0.3)
    fake.behave = lambda _: Reply(
        422, refusal(422, "sms_error", "no", "sms_number").body, hang=0.2, seconds_a_byte=0.002
    )
    started = time.monotonic()
    assert type(error_of(drip, SMS)) is RetryableError
    assert time.monotonic() - started < 2


def test_a_refused_connection_is_tried_again(budget: PretendBudget) -> None:
    port = free_port()
    drip = DripDestination({}, (ACCOUNT, TOKEN), budget, f"http://127.0.0.1:{port}")
    assert type(error_of(drip)) is RetryableError


@pytest.mark.parametrize(
    ("variable", "value", "api", "said"),
    [
        ("NO_PROXY", "*", "https://no-such-host.invalid", "DRIP_API_URL"),
        ("HTTPS_PROXY", "http://127.0.0.1:9", "https://drip.example.com", "HTTPS_PROXY"),
        ("SSL_CERT_FILE", "/no/such/file", "https://127.0.0.1:9", "SSL_CERT_FILE"),
    ],
)
def test_what_keeps_drip_out_of_reach_is_named_and_costs_no_quota(
    budget: PretendBudget,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    api: str,
    said: str,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    error = error_of(DripDestination({}, (ACCOUNT, TOKEN), budget, api))
    assert type(error) is Unreachable
    assert said in str(error)
    assert budget.log == ["take requests", "give back requests"]


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422, 429, 503])
def test_drips_words_are_kept_short_and_without_the_token(
    fake: FakeDripRest, drip: DripDestination, status: int
) -> None:
    # in the long ones, the cut at 500 characters falls inside the token
    said = f"{'no account ' * 44}{TOKEN}, Basic {BASIC}, {base64.b64encode(TOKEN.encode())!r}"
    for reply in (refusal(status, "x", said), Reply(status, said.encode())):
        answer_to(fake, SUBSCRIBERS, reply)
        error = error_of(drip)
        for secret in (TOKEN, BASIC):
            assert secret[:8] not in str(error) + error.words
        assert 0 < len(error.words) <= 500

    answer_to(fake, SUBSCRIBERS, refusal(422, "email_error", "Email is not valid", "email"))
    assert error_of(drip).words == "email_error: email: Email is not valid"


@pytest.fixture
def every_line(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that the bridge's loggers let through where the root logger is at DEBUG."""
    configure_logs("debug", "logfmt")
    caplog.set_level(logging.DEBUG)
    return caplog


def test_no_log_line_holds_a_token_or_a_person(
    fake: FakeDripRest, drip: DripDestination, every_line: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("somebody else's").debug("seen")
    for status in (None, 302, 400, 401, 403, 404, 422, 429, 503):
        body = f"{TOKEN} {EMAIL}".encode()
        reply = Reply(status, body, {"Retry-After": f"soon {TOKEN}"})
        answer_to(fake, SUBSCRIBERS, reply)
        if status:
            error_of(drip)
        else:
            send(drip, JO)
    answer_to(fake, SUBSCRIBERS, Reply(raw=f"HTTP/1.1 503 Busy\r\n{TOKEN}\r\n\r\n".encode()))
    error_of(drip)

    assert "seen" in every_line.text
    for secret in (TOKEN, BASIC, EMAIL):
        assert secret not in every_line.text
