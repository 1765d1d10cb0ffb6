"""What Drip knows of the people of one account, and what each kind of item does to that."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from tests.support.drip_rules import check_activity, check_item

Item = Mapping[str, Any]

NOT_KEPT_AS_THEY_ARE = frozenset(
    {"email", "new_email", "tags", "remove_tags", "custom_fields", "status", "initial_status"}
    | {"status_updated_at"}
)

_ids = count(1)


@dataclass
class Person:
    """Someone as Drip has them."""

    email: str
    status: str = "active"
    """What Drip makes of people whose status nobody says."""
    tags: set[str] = field(default_factory=set)
    custom_fields: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    """All other fields."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """In the order in which they came."""
    orders: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """By provider and id: a later one replaces an earlier one."""
    carts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    campaigns: set[str] = field(default_factory=set)
    created_by: str = "subscriber"
    """The kind of the first item."""
    id: str = field(default_factory=lambda: f"person{next(_ids)}")


class Refused(Exception):
    """Drip's code, attribute and message."""

    def __init__(self, code: str, attribute: str, message: str) -> None:
        super().__init__(code, attribute, message)
        self.code, self.attribute, self.message = code, attribute, message


class _Batch(NamedTuple):
    due: float
    kind: str
    items: list[Any]


class People:
    """The people of one account. Batches wait until their time, and then say nothing of what they
    did not take: that is in `violations`."""

    def __init__(self, violations: list[str], campaigns: Iterable[str] = ()) -> None:
        self.by_email: dict[str, Person] = {}
        """By the address in lower case."""
        self.removed: dict[str, set[str]] = {campaign: set() for campaign in campaigns}
        """For each campaign, the addresses of those who were removed from it."""
        self._violations = violations
        self._batches: deque[_Batch] = deque()
        self._outstanding: dict[str, float] = {}
        """For each address in a batch, when the batch is done."""

    def settle(self, now: float) -> None:
        """Do what batches asked for whose time has come."""
        while self._batches and self._batches[0].due <= now:
            batch = self._batches.popleft()
            for item in batch.items:
                self._apply_silently(batch, item)

    @property
    def batches_at_work(self) -> int:
        """How many are still to be done."""
        return len(self._batches)

    def is_outstanding(self, email: str, now: float) -> bool:
        """Whether a batch with this person may not be done yet."""
        return self._outstanding.get(email, now) > now

    def put_batch(self, kind: str, items: list[Any], due: float) -> None:
        """Take a batch, to be done later."""
        self._batches.append(_Batch(due, kind, items))
        self._outstanding.update(dict.fromkeys(self.emails_of(items), due))

    def apply(self, kind: str, item: Item, campaign: str = "") -> Person:
        """Do what one item asks for. Raises `Refused`."""
        for problem in check_item(kind, item):
            attribute, _, what = problem.partition(": ")
            code = "presence_error" if what == "missing" else "format_error"
            raise Refused(code, attribute, f"{attribute} is not good: {what}")
        item = self._by_email(item, "id")
        if kind == "event":
            person = self._find_or_create(item["email"], kind)
            person.events.append(dict(item))
            return person
        if kind == "campaign":
            return self._subscribe(item, campaign)
        return self._update(item)

    def record(self, kind: str, item: Any) -> None:
        """Record an "order" or a "cart". Raises `Refused`."""
        for problem in check_activity(kind, item):
            attribute, _, what = problem.partition(": ")
            raise Refused(
                "presence_error" if what == "missing" else "format_error", attribute, what
            )
        item = self._by_email(item, "person_id")
        is_new = item["email"].lower() not in self.by_email
        person = self._find_or_create(item["email"], kind)
        if is_new:
            person.status = item["initial_status"]
        records = person.orders if kind == "order" else person.carts
        records[item["provider"], item[f"{kind}_id"]] = dict(item)

    def emails_of(self, items: Iterable[Any]) -> list[str]:
        """The addresses that items are about, in lower case; not the new ones."""
        found = [self._email_of(item) for item in items if isinstance(item, dict)]
        return [email.lower() for email in found if isinstance(email, str)]

    def _email_of(self, item: Item) -> Any:
        if "email" in item or not isinstance(item.get("id"), str):
            return item.get("email")
        person = self.find(item["id"])
        return person and person.email

    def find(self, person: str) -> Person | None:
        """The person with this address, in any case, or this id."""
        by_id = (each for each in self.by_email.values() if each.id == person)
        return self.by_email.get(person.lower()) or next(by_id, None)

    def _by_email(self, item: Item, name_of_id: str) -> Item:
        """The item with the person's address in place of the id."""
        if "email" in item:
            return item
        if person := self.find(item[name_of_id]):
            others = {name: value for name, value in item.items() if name != name_of_id}
            return {"email": person.email, **others}
        raise Refused("not_found_error", name_of_id, "Nobody has this id")

    def _apply_silently(self, batch: _Batch, item: Item) -> None:
        try:
            self.apply(batch.kind, item)
        except Refused as refused:
            self._violations.append(f"lost in a batch: {refused}")

    def _update(self, item: Item) -> Person:
        email = item["email"].lower()
        is_new = email not in self.by_email
        if new_email := item.get("new_email"):
            email = self._move(email, new_email.lower())
            is_new = is_new and email not in self.by_email
        person = self._find_or_create(email, "subscriber")
        status = item.get("status") or (item.get("initial_status") if is_new else None)
        person.status = status or person.status
        self._merge(person, item)
        return person

    def _move(self, old: str, new: str) -> str:
        """Give the person of the old address, if there is one, the new address."""
        if new in self.by_email:
            raise Refused("", "", "New email is already subscribed")
        if person := self.by_email.pop(old, None):
            person.email = new
            self.by_email[new] = person
        return new

    def _subscribe(self, item: Item, campaign: str) -> Person:
        email = item["email"].lower()
        if email in self.removed[campaign]:
            if item.get("reactivate_if_removed", True) is False:
                raise Refused("uniqueness_error", "email", "Email is already removed")
            self.removed[campaign].discard(email)
        person = self._find_or_create(email, "campaign")
        person.campaigns.add(campaign)
        self._merge(person, item)
        return person

    def _find_or_create(self, email: str, kind: str) -> Person:
        key = email.lower()
        if key not in self.by_email:
            self.by_email[key] = Person(key, created_by=kind)
        return self.by_email[key]

    @staticmethod
    def _merge(person: Person, item: Item) -> None:
        person.tags |= set(item.get("tags", ()))
        person.tags -= set(item.get("remove_tags", ()))
        person.custom_fields.update(item.get("custom_fields", {}))
        person.fields.update(
            {name: value for name, value in item.items() if name not in NOT_KEPT_AS_THEY_ARE}
        )
