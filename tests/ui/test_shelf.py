"""What shelves of several tabs share."""

from __future__ import annotations

from studio.ui.session import Desk, Run
from studio.ui.shelf import GONE, base_name, guarded, name_of


def test_what_is_liked_has_a_name_of_its_own():
    assert base_name("Look 2 on astronaut") == "Look 2" and base_name("Party") == "Party"


def test_equal_codes_are_one():
    assert name_of((0.1, -2)) == name_of((0.10001, -2.0)) != name_of((0.1, 2))


def test_what_is_gone_is_a_sentence_above_the_buttons():
    (values,) = guarded(Desk(), Run(), lambda: iter({}["a style"]), after=1)
    assert len(values) == 8 and f">{GONE}<" in values[4]
