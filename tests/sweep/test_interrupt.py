"""An interrupt is kept until it is asked for."""

import os
import signal
import threading

import pytest

from sdq_fpga.sweep.interrupt import kept_interrupts


@pytest.fixture(autouse=True)
def usual():
    """As a terminal leaves it, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_waits_and_the_second_does_not():
    with kept_interrupts() as look:
        look()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            look()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_one_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with kept_interrupts() as look:
        interrupt()
        look()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_nothing():
    seen = []

    def there():
        with kept_interrupts() as look:
            look()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
