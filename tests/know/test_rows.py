"""One row that raises, or never ends, is dropped by name; the rows beside it stay."""

import re
import threading
import time

import pytest

from mella_hf.errors import MellaError
from mella_hf.know.rows import RowFailed, one_row


def spin() -> None:
    while True:
        pass


def stuck_in_a_regular_expression() -> None:
    re.match("(a+)+b", "a" * 60)


def swallow_and_go_on() -> None:
    while True:
        try:
            spin()
        except Exception:
            pass


@pytest.mark.parametrize("work", [spin, stuck_in_a_regular_expression, swallow_and_go_on])
def test_a_row_that_does_not_end_is_ended(work):
    with pytest.raises(RowFailed) as failed, one_row("page", 0.2):
        work()
    assert failed.value.reason == "page_too_slow"
    with one_row("page", 0.2):  # the next row has its own time
        time.sleep(0.01)


def test_a_row_in_another_thread_is_ended_too():
    reasons = []

    def work() -> None:
        try:
            with one_row("image", 0.1):
                spin()
        except RowFailed as error:
            reasons.append(error.reason)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert reasons == ["image_too_slow"]


@pytest.mark.parametrize(
    "error", [LookupError("x"), MemoryError(), RecursionError(), OverflowError("y"), UnicodeError()]
)
def test_what_a_row_raises_becomes_its_reason(error):
    with pytest.raises(RowFailed) as failed, one_row("page"):
        raise error
    assert failed.value.reason == f"page_error_{type(error).__name__}"


def test_errors_of_the_library_are_not_the_rows():
    with pytest.raises(MellaError, match="the disk is full"), one_row("page"):
        raise MellaError("the disk is full")
