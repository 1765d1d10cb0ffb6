"""The Drip of the tests is as strict as the real one, and remembers what it was told."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests import Session

from tests.support.clock import Clock
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, TOKEN, FakeDripRest

JO = {"email": "Jo@example.com", "initial_status": "unsubscribed"}
SEEN = {"email": "jo@example.com", "action": "Seen", "occurred_at": "2026-11-26T10:00:00Z"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeDripRest]:
    with FakeDripRest(clock=clock, batch_delay=600, batches_per_hour=2) as fake:
        yield fake


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        session.auth = (TOKEN, "")
        session.trust_env = False
        yield session


def post(session: Session, fake: FakeDripRest, path: str, body: Any) -> requests.Response:
    return session.post(f"{fake.url}/v2/{ACCOUNT}/{path}", json=body, timeout=10)


def put(session: Session, fake: FakeDripRest, **item: Any) -> requests.Response:
    return post(session, fake, "subscribers", {"subscribers": [item]})


def put_batch(session: Session, fake: FakeDripRest, *items: Any) -> requests.Response:
    return post(session, fake, "subscribers/batches", {"batches": [{"subscribers": items}]})


def words(response: requests.Response) -> str:
    message: str = response.json()["errors"][0]["message"]
    return message


def test_a_person_is_made_and_then_changed(session: Session, fake: FakeDripRest) -> None:
    put(session, fake, **JO, tags=["a", "b"], custom_fields={"plan": "x"}, first_name="Jo")
    answer = put(
        session,
        fake,
        email="JO@example.com",
        initial_status="active",
        tags=["c"],
        remove_tags=["a"],
        custom_fields={"size": 1},
    )
    assert answer.status_code == 200
    person = fake.person("jo@example.com")
    assert person.status == "unsubscribed"
    assert person.tags == {"b", "c"}
    assert person.custom_fields == {"plan": "x", "size": 1}
    assert person.fields == {"first_name": "Jo"}
    put(session, fake, email="jo@example.com", status="active")
    assert fake.person("jo@example.com").status == "active"
    assert fake.violations == []


def test_a_person_moves_to_a_new_address_that_is_free(session: Session, fake: FakeDripRest) -> None:
    put(session, fake, **JO, tags=["a"])
    put(session, fake, email="jo@example.com", new_email="new@example.com")
    put(session, fake, email="nobody@example.com", new_email="made@example.com")
    assert set(fake.people()) == {"new@example.com", "made@example.com"}
    assert fake.person("new@example.com").tags == {"a"}

    taken = put(session, fake, email="new@example.com", new_email="made@example.com")
    assert (taken.status_code, words(taken)) == (422, "New email is already subscribed")


def test_events_are_kept_with_their_person(session: Session, fake: FakeDripRest) -> None:
    assert post(session, fake, "events", {"events": [SEEN]}).status_code == 204
    assert fake.person("jo@example.com").events == [SEEN]
    assert fake.person("jo@example.com").created_by == "event"


def test_a_campaign_is_joined_once_left_not_joined_again(
    session: Session, fake: FakeDripRest
) -> None:
    body = {"subscribers": [{"email": "jo@example.com", "reactivate_if_removed": False}]}
    assert post(session, fake, f"campaigns/{CAMPAIGN}/subscribers", body).status_code == 200
    assert fake.person("jo@example.com").campaigns == {CAMPAIGN}
    assert post(session, fake, "campaigns/other/subscribers", body).status_code == 404
    fake.remove_from_campaign("jo@example.com")
    assert post(session, fake, f"campaigns/{CAMPAIGN}/subscribers", body).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("subscribers", {"email": "jo@example.com"}, "JSON parsing error"),
        ("subscribers", {"subscribers": [JO, JO]}, "JSON parsing error"),
        ("subscribers", {"subscribers": [JO], "more": 1}, "JSON parsing error"),
        ("events", {"subscribers": [JO]}, "JSON parsing error"),
        ("subscribers/batches", {"subscribers": [JO]}, "Subscribers must contain between 1"),
        ("subscribers/batches", {"batches": [{"subscribers": []}]}, "Subscribers must contain"),
        ("events/batches", {"batches": [{"events": [SEEN] * 1001}]}, "Events must contain"),
        ("subscribers", {"subscribers": [{"email": "jo"}]}, "email is not good"),
        ("events", {"events": [{"email": "jo@example.com"}]}, "action is not good"),
    ],
)
def test_what_is_not_as_documented_is_refused(
    session: Session, fake: FakeDripRest, path: str, body: Any, said: str
) -> None:
    answer = post(session, fake, path, body)
    assert answer.status_code == 422
    assert said in words(answer)
    assert fake.people() == {}


def test_a_body_that_is_no_json_is_refused(session: Session, fake: FakeDripRest) -> None:
    answer = session.post(f"{fake.url}/v2/{ACCOUNT}/events", data="{", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_the_token_opens_its_account_alone(session: Session) -> None:
    with FakeDripRest({ACCOUNT: TOKEN, "7": "other"}) as fake:
        listed = session.get(f"{fake.url}/v2/accounts", timeout=10).json()["accounts"]
        assert [account["id"] for account in listed] == [ACCOUNT]
        assert session.get(f"{fake.url}/v2/user", timeout=10).json()["users"]
        body = {"subscribers": [JO]}
        for account, status in ((ACCOUNT, 200), ("7", 404), ("8", 404)):
            url = f"{fake.url}/v2/{account}/subscribers"
            assert session.post(url, json=body, timeout=10).status_code == status
        session.auth = ("wrong", "")
        assert put(session, fake, **JO).status_code == 401
        assert fake.people("7") == {}


def test_a_batch_is_done_later_and_its_people_are_to_be_left_alone(
    session: Session, fake: FakeDripRest, clock: Clock
) -> None:
    assert put_batch(session, fake, JO, {"email": "bo@example.com"}).status_code == 201
    assert fake.people() == {}
    assert fake.violations == []
    put(session, fake, email="BO@example.com", status="active")
    [violation] = fake.violations
    assert "bo@example.com is in a batch that is not done" in violation
    clock.now += 600
    assert fake.person("jo@example.com").status == "unsubscribed"
    put(session, fake, **JO)
    assert len(fake.violations) == 1


def test_what_a_batch_loses_silently_is_noticed(
    session: Session, fake: FakeDripRest, clock: Clock
) -> None:
    assert put_batch(session, fake, {"email": "jo"}, JO, JO).status_code == 201
    clock.now += 600
    assert list(fake.people()) == ["jo@example.com"]
    assert [violation.partition(":")[0] for violation in fake.violations] == [
        f"POST /v2/{ACCOUNT}/subscribers/batches",
        "lost in a batch",
    ]
    assert "somebody is in it twice" in fake.violations[0]


def test_each_bucket_has_so_many_requests_in_an_hour(
    session: Session, fake: FakeDripRest, clock: Clock
) -> None:
    left = []
    for number in range(2):
        answer = put_batch(session, fake, {"email": f"p{number}@example.com"})
        left.append(answer.headers["X-RateLimit-Remaining"])
        clock.now += 100
    assert left == ["1", "0"]
    refused = put_batch(session, fake, {"email": "p2@example.com"})
    assert refused.status_code == 429
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert refused.json()["message"] == "API rate limit exceeded. Please try again in an hour."
    assert put(session, fake, email="p3@example.com").status_code == 200
    clock.now += 3400
    assert put_batch(session, fake, {"email": "p2@example.com"}).status_code == 201
    assert put_batch(session, fake, {"email": "p4@example.com"}).status_code == 429


def test_two_requests_at_once_for_one_person_are_refused(
    session: Session, fake: FakeDripRest
) -> None:
    second: list[requests.Response] = []

    def meanwhile(_: Any) -> None:
        fake.behave = lambda _: None
        with Session() as other:
            other.auth = (TOKEN, "")
            second.append(put(other, fake, **JO))

    fake.behave = meanwhile
    assert put(session, fake, **JO).status_code == 200
    assert second[0].status_code == 429
    assert words(second[0]) == "Too many concurrent requests for the same subscriber"
    assert fake.remaining("requests") == 3599
    assert len(fake.violations) == 1


def test_an_answer_of_ones_own_does_nothing_but_a_broken_one_may(
    session: Session, fake: FakeDripRest
) -> None:
    fake.behave = lambda _: Reply(503)
    assert put(session, fake, **JO).status_code == 503
    assert fake.people() == {}
    fake.behave = lambda _: Reply(cut=True)
    with pytest.raises(requests.ConnectionError):
        put(session, fake, **JO)
    assert len(fake.people()) == 1


def test_a_hundred_full_batches_take_seconds(session: Session, fake: FakeDripRest) -> None:
    fake.limits["batches"] = 1000
    started = time.monotonic()
    for batch in range(100):
        people = [{"email": f"p{batch}-{n}@example.com", "tags": ["a"]} for n in range(1000)]
        assert put_batch(session, fake, *people).status_code == 201
    assert time.monotonic() - started < 15
