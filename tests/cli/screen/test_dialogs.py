"""The small windows, by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Input

from ringback.cli.screen.dialogs import KEYS, Choice, Form, Keypad


class Asking(App[None]):
    """Shows one window, and keeps what comes of it."""

    def __init__(self, make: Callable[[], ModalScreen[Any]]) -> None:
        super().__init__()
        self._make = make
        self.result: Any = "nothing yet"

    def on_mount(self) -> None:
        def keep(result: Any) -> None:
            self.result = result

        self.push_screen(self._make(), keep)


def form() -> Form:
    return Form("New [contact]", [("Name", ""), ("URI", "sip:bob@example.org")])


async def test_a_form_begins_where_something_is_missing_and_ends_with_enter() -> None:
    app = Asking(form)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert app.result == "nothing yet"
        await pilot.press("b", "o", "b", "enter")
        assert app.result == ["bob", "sip:bob@example.org"]


async def test_enter_leads_to_the_next_field_that_is_empty() -> None:
    app = Asking(lambda: Form("New", [("Name", ""), ("URI", "")]))
    async with app.run_test() as pilot:
        await pilot.press("b", "enter")
        fields = list(app.screen.query(Input))
        assert app.result == "nothing yet" and app.focused is fields[1]
        await pilot.press("c", "enter")
        assert app.result == ["b", "c"]


@pytest.mark.parametrize("make", [form, lambda: Choice("Which", ["one", "two"]), lambda: Keypad("Digits", print)])
async def test_escape_leaves_without_a_result(make: Callable[[], ModalScreen[Any]]) -> None:
    app = Asking(make)
    async with app.run_test() as pilot:
        await pilot.press("escape")
        assert app.result is None


async def test_one_of_several_is_chosen_and_their_text_is_no_markup() -> None:
    app = Asking(lambda: Choice("Which", ["[b]one", "[/two"]))
    async with app.run_test() as pilot:
        await pilot.press("down", "enter")
        assert app.result == 1


async def test_the_keypad_sends_what_is_typed_and_clicked() -> None:
    pressed: list[str] = []
    app = Asking(lambda: Keypad("Digits", pressed.append))
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.press("5", "a", "*")
        await pilot.click(f"#key-{KEYS.index('0')}")
        assert pressed == ["5", "*", "0"]
        assert "5*0" in [str(widget.render()) for widget in app.screen.query("Static")]
