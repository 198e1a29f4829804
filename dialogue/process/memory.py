"""What a process that runs for months holds besides its work."""

import ctypes
import gc

_M_ARENA_MAX = -8  # mallopt(3)


def keep_together() -> None:
    """Once everything is imported, and before the threads start.

    glibc gives each thread a heap of its own; with a thread for each transaction that is a waste of megabytes.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    settle()


def settle() -> None:
    """Once the imports are done, and once more when the process is ready.

    What is there stays: the garbage collector need not look at it again, and looks at the rest more often. What making
    it left over goes back to the system.
    """
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
