"""A task as Celery's workers take it from Redis: protocol 2 in the envelope of kombu's Redis transport.

https://docs.celeryq.dev/en/stable/internals/protocol.html. Written here, so that a process that only rings holds
neither library: together they are a fifth of its memory, and a ring by them takes ten times as long.
"""

import base64
import json
import os
import socket
from collections.abc import Sequence
from uuid import uuid4


def task_message(name: str, arguments: Sequence[str], *, queue: str) -> str:
    """What is to be pushed to the left of the list that is called like the queue."""
    task_id = str(uuid4())
    body = json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": name,
                "id": task_id,
                "shadow": None,
                "eta": None,
                "expires": None,
                "group": None,
                "group_index": None,
                "retries": 0,
                "timelimit": [None, None],
                "root_id": task_id,
                "parent_id": None,
                "argsrepr": repr(list(arguments)),
                "kwargsrepr": "{}",
                "origin": f"gen{os.getpid()}@{_HOST}",
                "ignore_result": True,
                "replaced_task_nesting": 0,
                "stamped_headers": None,
                "stamps": {},
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


_HOST = socket.gethostname()
