"""Read JSON strictly: what every JSON reader can read, or else a reason why not."""

import json
from typing import Any, NoReturn

from app.errors import InvalidPayload


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `InvalidPayload`, which says what is wrong."""
    try:
        value = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except RecursionError:
        raise InvalidPayload({"body": ["JSON, but nested too deeply to be read."]}) from None
    except UnicodeDecodeError:
        raise InvalidPayload({"body": ["Not text in UTF-8, UTF-16 or UTF-32."]}) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidPayload({"body": [f"Not JSON: {error.msg} at {where}."]}) from None
    except ValueError as error:
        raise InvalidPayload({"body": [f"Not JSON that can be read: {error}."]}) from None
    if not isinstance(value, dict):
        raise InvalidPayload({"body": ["Not a JSON object."]})
    return value


def _no_such_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_such_number)
"""Made once, because `json.loads` would make one for each body."""
