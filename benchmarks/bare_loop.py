"""The SDK's transport and nothing else: `python -m benchmarks.bare_loop HOST FILE`.

Posts the file's calls, one a line, in batches of 100, and forgets them. Imports nothing of the
bridge, which gives the SDK a session of its own.
"""

import gc
import json
import sys
from pathlib import Path

from segment.analytics import request

BATCH = 100


def main(host: str, path: Path) -> None:
    """Read them all, then post them all."""
    with path.open() as file:
        calls = [json.loads(line) for line in file]
    gc.freeze()  # so many dicts would be looked through again and again
    for start in range(0, len(calls), BATCH):
        request.post("key-of-the-loop", host, batch=calls[start : start + BATCH])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
