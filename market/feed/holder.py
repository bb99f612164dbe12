"""The name under which this process holds leases, and whether the bearer of a name is dead.

After a crash the lease of the dead process would keep its successor waiting until it expires. A
successor on the same machine can see that nobody is there any more, and need not wait.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def holder_name() -> str:
    """Unique for each feed; at most 80 characters."""
    return f"{_place()}:{os.getpid()}:{uuid4().hex[:8]}"


def is_gone(holder: str) -> bool:
    """Whether the process of this name is known to be dead. A process elsewhere may always live."""
    place, _, rest = holder.partition(":")
    process = rest.partition(":")[0]
    if place != _place() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _place() -> str:
    """The machine, its boot, and the space its process numbers belong to: containers have their
    own.
    """
    facts = [socket.gethostname()[:24]]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text()[:8])
        facts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "-".join(facts).replace(":", "")
