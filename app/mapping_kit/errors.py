"""The error of a mapping that cannot be used."""

from typing import Self

from app.errors import FieldErrors


class InvalidMapping(Exception):
    """A mapping that cannot be used. `errors` has the reasons by place, such as
    "fields.email.@if.then"; the place is "" in a trigger."""

    def __init__(self, errors: FieldErrors) -> None:
        reasons = (f"{place}: {' '.join(why)}".removeprefix(": ") for place, why in errors.items())
        super().__init__("; ".join(reasons))
        self.errors = errors

    @classmethod
    def because(cls, reason: str, place: str = "") -> Self:
        """The error of one place."""
        return cls({place: [reason]})
