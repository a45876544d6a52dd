import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from gateway import memory


@pytest.fixture(autouse=True)
def fresh():
    """Look at the C library anew, before and after."""
    memory._trim.cache_clear()
    yield
    memory._trim.cache_clear()


def test_it_is_given_back_and_nothing_in_use_is_lost():
    """What is still in use stays as it is."""
    kept = np.arange(1_000_000)
    memory.give_back()
    memory.give_back()
    assert kept.sum() == 499_999_500_000


def test_all_that_is_free_is_given_back(monkeypatch):
    """The C library is asked to keep nothing of it."""
    asked = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=asked.append))
    memory.give_back()
    assert asked == [0]


def test_a_c_library_that_cannot(monkeypatch):
    """Where there is no way to do it, nothing happens."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.give_back()
