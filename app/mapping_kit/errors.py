"""The error of a mapping that cannot be used."""

from app.errors import FieldErrors


class InvalidMapping(Exception):
    """A mapping that cannot be used. `errors` has the reasons by place, such as
    "fields.email.@if.then"."""

    def __init__(self, errors: FieldErrors) -> None:
        super().__init__("; ".join(f"{path}: {' '.join(why)}" for path, why in errors.items()))
        self.errors = errors
