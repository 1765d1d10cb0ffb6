"""A budget of Drip's requests that notes what it is told."""

from app.destination import RateLimited
from app.segment_to_drip.sending.operations import Bucket


class PretendBudget:
    """Has so many requests left; by default more than any test needs."""

    def __init__(self, left: int = 1_000_000) -> None:
        self.left = left
        self.log: list[str] = []
        """What it was told, such as "take requests"."""
        self.accounts: set[str] = set()

    def take(self, account: str, bucket: Bucket) -> None:
        self.accounts.add(account)
        if self.left <= 0:
            raise RateLimited("none left", 60.0)
        self.left -= 1
        self.log.append(f"take {bucket}")

    def give_back(self, account: str, bucket: Bucket) -> None:
        self.accounts.add(account)
        self.left += 1
        self.log.append(f"give back {bucket}")

    def report(self, account: str, bucket: Bucket, remaining: int | None) -> None:
        self.accounts.add(account)
        self.log.append(f"{remaining} {bucket} remain")

    def exhausted(self, account: str, bucket: Bucket) -> float:
        self.accounts.add(account)
        self.log.append(f"{bucket} exhausted")
        return 1234.0
