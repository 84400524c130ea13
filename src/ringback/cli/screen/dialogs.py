"""The small windows of the screen: a form, a choice, the keypad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Horizontal, Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

__all__ = ["KEYS", "Choice", "Form", "Keypad"]

#: The keys of a telephone, in rows.
KEYS: Final = "123456789*0#"
_STYLE: Final = """
{name} {{ align: center middle; }}
{name} > Vertical {{ width: 60; height: auto; border: round $accent; padding: 1 2; background: $surface; }}
{name} Horizontal {{ height: auto; margin-top: 1; }}
{name} OptionList {{ height: auto; max-height: 12; }}
{name} Grid {{ grid-size: 3 4; grid-gutter: 0 1; height: auto; margin-top: 1; }}
{name} Grid Button {{ width: 100%; }}
"""


class Form(ModalScreen[list[str] | None]):
    """Asks for some lines of text; None when a person thinks better of it."""

    DEFAULT_CSS = _STYLE.format(name="Form")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, fields: Sequence[tuple[str, str]]) -> None:
        """`fields` are the names of the lines, and what stands in them at first."""
        super().__init__()
        self._heading = title
        self._fields = [(label, Input(value)) for label, value in fields]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._heading, "bold"))
            for label, field in self._fields:
                yield Label(Text(label))
                yield field
            with Horizontal():
                yield Button("OK", variant="primary", action="screen.done")
                yield Button("Cancel", action="screen.dismiss(None)")

    def on_mount(self) -> None:
        """Begin where something is missing."""
        empty = [field for _, field in self._fields if not field.value]
        (empty or [self._fields[0][1]])[0].focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leads to what is missing, and ends the form when nothing is."""
        event.stop()
        missing = [field for _, field in self._fields if not field.value.strip()]
        if missing:
            missing[0].focus()
        else:
            self.action_done()

    def action_done(self) -> None:
        """All is said."""
        values = [field.value.strip() for _, field in self._fields]
        self.dismiss(values if all(values) else None)


class Choice(ModalScreen[int | None]):
    """Asks for one of several; its place, or None."""

    DEFAULT_CSS = _STYLE.format(name="Choice")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, options: Sequence[str]) -> None:
        super().__init__()
        self._heading = title
        self._options = options

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._heading, "bold"))
            yield OptionList(*[Option(Text(option)) for option in self._options])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """One is chosen."""
        self.dismiss(event.option_index)


class Keypad(ModalScreen[None]):
    """Sends a digit with each key, of the keyboard or of the screen."""

    DEFAULT_CSS = _STYLE.format(name="Keypad")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Close")]

    def __init__(self, title: str, press: Callable[[str], None]) -> None:
        """`press` is told of each digit."""
        super().__init__()
        self._heading = title
        self._press = press
        self._pressed = ""
        self._shown = Static(Text(" "))

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._heading, "bold"))
            yield self._shown
            with Grid():
                for place, key in enumerate(KEYS):
                    yield Button(key, id=f"key-{place}", action=f"screen.press({place})")
            with Horizontal():
                yield Button("Close", action="screen.dismiss(None)")

    def on_key(self, event: Key) -> None:
        """A key of the keyboard."""
        if event.character is not None and event.character in KEYS:
            event.stop()
            self.action_press(KEYS.index(event.character))

    def action_press(self, place: int) -> None:
        """A digit."""
        self._pressed += KEYS[place]
        self._shown.update(Text(self._pressed[-40:]))
        self._press(KEYS[place])
