"""Only so much of the operations as the destination needs, until the translation brings them."""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


class Operation(NamedTuple):
    kind: str
    item: dict[str, Any]
    campaign_id: str = ""
    introduces: bool = False

    def to_json(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "Operation":
        return cls(**json.loads(text))


class Request(NamedTuple):
    method: str
    path: str
    body: dict[str, Any]
    bucket: Literal["requests", "batches"]


def requests_for(operations: Sequence[Operation], account: str) -> list[Request]:
    kind = operations[0].kind
    name = "events" if kind == "event" else "subscribers"
    items = [operation.item for operation in operations]
    if kind == "campaign":
        return [
            Request(
                "POST",
                f"/v2/{account}/campaigns/{operation.campaign_id}/subscribers",
                {name: [operation.item]},
                "requests",
            )
            for operation in operations
        ]
    if len(items) == 1:
        return [Request("POST", f"/v2/{account}/{name}", {name: items}, "requests")]
    return [
        Request("POST", f"/v2/{account}/{name}/batches", {"batches": [{name: items}]}, "batches")
    ]
