from __future__ import annotations

import signal
import threading

import pytest

from npu_tune.tuning.signals import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number):
    before = signal.getsignal(number)

    with stop_on_signals() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_a_thread_that_gets_no_signals_leaves_them_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def run():
        with stop_on_signals() as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.requested))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert seen == [(before, False)]
