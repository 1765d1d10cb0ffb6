"""The message id does not depend on the process that computes it."""

import json
import os
import subprocess
import sys

from tests.support.bridge_process import ROOT

IN_ANOTHER_PROCESS = """
import json, sys
from app.drip_to_segment.translate import translate

call = translate(sys.stdin.buffer.read(), 0.0)
print(json.dumps([call.message_id, call.payload]))
"""


def test_the_call_and_its_id_are_the_same_in_every_process() -> None:
    body = (ROOT / "samples" / "clicked_email.json").read_bytes()
    seen = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            input=body,
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(seen) == 1
    # the example: its golden file has this id, and a fuller profile changes nothing in it
    golden = json.loads(
        (ROOT / "tests" / "golden" / "drip_to_segment" / "clicked_email.json").read_text()
    )
    assert json.loads(seen.pop())[0] == golden["segment"]["messageId"]
