import threading

from worker.fallback_poll import FallbackPoller


def test_a_look_that_fails_does_not_stop_the_polling() -> None:
    looked = []
    twice = threading.Event()

    def look() -> None:
        looked.append(1)
        if len(looked) == 2:
            twice.set()
        raise RuntimeError("秘密")

    poller = FallbackPoller(look, period_seconds=0.01)
    poller.start()
    assert twice.wait(10)
    poller.stop()
