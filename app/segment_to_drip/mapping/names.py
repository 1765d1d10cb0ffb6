"""Give each of an object's keys a name that Drip takes, and no two of them the same one."""

from collections import Counter
from collections.abc import Callable, Iterable


def free_names(
    names: Iterable[str], spelled: Callable[[str], str], place: str, left_out: dict[str, str]
) -> dict[str, str]:
    """Name → the name for Drip, as `spelled` makes it. Names that need no change are kept. If a new
    name is taken, it gets a number, and `left_out` has its path with the reason."""
    free: dict[str, str] = {}
    changed: list[tuple[str, str]] = []
    for name in names:
        new = spelled(name)
        if new == name:
            free[name] = name
        else:
            changed.append((name, new))
    if changed:
        _number(changed, free, place, left_out)
    return free


def _number(
    changed: list[tuple[str, str]], free: dict[str, str], place: str, left_out: dict[str, str]
) -> None:
    taken = set(free.values())
    # counted, because a search from 2 for each of thousands would take minutes
    tries: Counter[str] = Counter()
    for name, wanted in changed:
        new = wanted
        while new in taken:
            tries[wanted] += 1
            new = f"{wanted}_{tries[wanted] + 1}"
        if new != wanted:
            left_out[f"{place}.{name}"] = f"Sent as {new}, because {wanted} is another one."
        taken.add(new)
        free[name] = new
