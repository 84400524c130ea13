"""The screen: contacts at the left, the calls and all about one of them at the right, keys below.

Whatever comes from others is shown as `rich.text.Text`, which has no markup.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, DataTable, Footer, Input, Static

from ringback.cli.screen.contacts import Contacts
from ringback.cli.screen.dialogs import Choice, Form, Keypad
from ringback.cli.screen.line import Line
from ringback.cli.screen.switchboard import Switchboard
from ringback.cli.screen.words import bar, details, duration, plain, state_of
from ringback.errors import LocalError

__all__ = ["Softphone"]

#: Seconds between two looks at levels and durations, and looks between two rings of the terminal's bell.
LOOK: Final = 0.25
_LOOKS_A_RING: Final = 12
#: Columns of the list of calls, and how wide they are.
_COLUMNS: Final = (("State", 15), ("Time", 8), ("Heard", 7), ("Said", 7), ("Who", 60))
_BUTTONS: Final = (
    ("Call", "call"),
    ("Answer", "answer"),
    ("Reject", "reject"),
    ("Hang up", "hang_up"),
    ("Hold", "hold"),
    ("Mute", "mute"),
    ("Digits", "digits"),
    ("Transfer", "transfer"),
    ("Connect", "connect"),
    ("Contact", "add_contact"),
)


class Softphone(App[None]):
    """The screen of a phone. All calls end when it is left."""

    TITLE = "Ringback"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #status, #message { height: 1; background: $panel; padding: 0 1; }
    #left { width: 26; border-right: solid $panel; }
    #contacts { height: 1fr; }
    #calls { height: 12; }
    #keys { grid-size: 5 2; grid-gutter: 0 1; grid-rows: 1; height: 3; padding-top: 1; }
    #keys Button { width: 100%; min-width: 8; }
    #about { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,c", "call", "Call"),
        Binding("f3,a", "answer", "Answer"),
        Binding("f4,r", "reject", "Reject"),
        Binding("f5,h", "hang_up", "Hang up"),
        Binding("f6,o", "hold", "Hold"),
        Binding("f7,d", "digits", "Digits"),
        Binding("f8,t", "transfer", "Transfer"),
        Binding("f9,j", "connect", "Connect"),
        Binding("f12,m", "mute", "Mute"),
        Binding("ctrl+n,n", "add_contact", "New contact"),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(self, board: Switchboard, contacts: Contacts) -> None:
        super().__init__()
        self.board = board
        self.contacts = contacts
        self.message = ""
        self._task: asyncio.Task[None] | None = None
        self._due = False
        self._looks = 0
        self._rows: dict[str, list[str]] = {}
        self._status = Static(id="status")
        self._number = Input(placeholder="Call: sip:…, a user, a contact", id="number")
        self._book: DataTable[Text] = DataTable(id="contacts", cursor_type="row", show_header=False)
        self._calls: DataTable[Text] = DataTable(id="calls", cursor_type="row", cell_padding=0)
        self._about = Static(id="details")
        self._said = Static(id="message")

    def compose(self) -> ComposeResult:
        yield self._status
        with Horizontal():
            with Vertical(id="left"):
                yield self._number
                yield self._book
            with Vertical():
                yield self._calls
                with Grid(id="keys"):
                    for label, action in _BUTTONS:
                        yield Button(label, id=action, action=f"app.{action}", compact=True)
                with VerticalScroll(id="about"):
                    yield self._about
        yield self._said
        yield Footer()

    def on_mount(self) -> None:
        """Calls can come."""
        for label, width in _COLUMNS:
            self._calls.add_column(label, key=label, width=width)
        self._book.add_column("Contact", key="name")
        for name in self.contacts:
            self._book.add_row(Text(name), key=name)
        board = self.board
        board.changed.append(self._changed)
        board.say = self._say
        board.arrived = self._arrived
        self._task = board.agent.spawn(board.run(), "softphone")
        self.set_interval(LOOK, self._look)
        self._number.focus()
        self._show()

    def on_unmount(self) -> None:
        """The screen is left."""
        board = self.board
        board.changed.remove(self._changed)
        board.leave()
        if self._task is not None:
            self._task.cancel()

    # what is shown ---------------------------------------------------------------------------------------------------

    @property
    def selected(self) -> Line | None:
        """The call that keys are about."""
        if not self._calls.row_count:
            return None
        key = self._calls.coordinate_to_cell_key(self._calls.cursor_coordinate).row_key.value
        return next((line for line in self.board.lines if str(line.number) == key), None)

    def _changed(self) -> None:
        # Other tasks than this screen's call this, often several times in a turn.
        if not self._due:
            self._due = True
            self.call_later(self._show)

    def _say(self, what: str) -> None:
        self.message = what
        self._changed()

    def _arrived(self, line: Line) -> None:
        self.message = f"{plain(line.call.remote_name)} is calling"
        self._looks = 0
        self._changed()

    def _look(self) -> None:
        if any(line.rings_here for line in self.board.live):
            if self._looks % _LOOKS_A_RING == 0:
                self.bell()
            self._looks += 1
        self.board.tick()

    def _show(self) -> None:
        """Bring the screen up to date."""
        self._due = False
        agent = self.board.agent
        standing = f"registered as {agent.uri}" if agent.is_registered else f"not registered, at {agent.contact}"
        self._status.update(Text(f"{standing} · {plain(self.board.sound)}", no_wrap=True, overflow="ellipsis"))
        self._said.update(Text(plain(self.message), no_wrap=True, overflow="ellipsis"))
        self._show_calls(agent.now())
        line = self.selected
        self._about.update(Text(details(line, agent.now()) if line is not None else "No calls."))

    def _show_calls(self, now: float) -> None:
        before = self.selected
        shown = {str(line.number): line for line in self.board.lines}
        for key in [key for key in self._rows if key not in shown]:
            del self._rows[key]
            self._calls.remove_row(key)
        for key, line in shown.items():
            cells = _cells(line, now)
            known = self._rows.get(key)
            if known is None:
                self._calls.add_row(*[Text(cell) for cell in cells], key=key)
                # One's own call, and one that comes while there is no other, is what the keys are about.
                if not line.call.incoming or before is None or before.is_over:
                    self._calls.move_cursor(row=self._calls.get_row_index(key))
            else:
                for (label, _), cell, old in zip(_COLUMNS, cells, known, strict=True):
                    if cell != old:
                        self._calls.update_cell(key, label, Text(cell))
            self._rows[key] = cells

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another call is looked at."""
        if event.data_table is self._calls:
            self._changed()

    # what is done ----------------------------------------------------------------------------------------------------

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter or a click: a contact is called, a call that rings is answered."""
        if event.data_table is self._book and event.row_key.value is not None:
            self.board.dial(self.contacts[event.row_key.value])
        elif event.data_table is self._calls:
            self.action_answer()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the number's field."""
        self.action_call()

    def action_call(self) -> None:
        """Call what stands in the field; when nothing does, go there."""
        text = self._number.value.strip()
        if text:
            self._number.value = ""
            self.board.dial(self.contacts.target(text))
        else:
            self._number.focus()

    def action_answer(self) -> None:
        """Take the call that is looked at, or else the oldest that rings."""
        line = self._ringing()
        if line is not None:
            self.board.answer(line)

    def action_reject(self) -> None:
        """Refuse it."""
        line = self._ringing()
        if line is not None:
            self.board.reject(line)

    def action_hang_up(self) -> None:
        """End the call that is looked at."""
        line = self.selected
        if line is not None:
            self.board.hang_up(line)

    def action_hold(self) -> None:
        """Hold, or resume."""
        line = self._talking()
        if line is not None:
            self.board.hold(line)

    def action_mute(self) -> None:
        """Silence the microphone for this call, or not."""
        line = self.selected
        if line is not None:
            self.board.mute(line)

    def action_digits(self) -> None:
        """Open the keypad."""
        line = self._talking()
        if line is not None:
            talking = line
            self.push_screen(
                Keypad(f"Digits for {_who(line)}", lambda digit: self.board.digits(talking, digit)),
            )

    def action_transfer(self) -> None:
        """Ask for whom the other side is to talk to instead (blind)."""
        line = self._talking()
        if line is None:
            return
        talking = line

        def asked(values: list[str] | None) -> None:
            if values is not None:
                self.board.transfer(talking, self.contacts.target(values[0]))

        self.push_screen(Form(f"Transfer {_who(line)} to", [("A URI, a user, or a contact", "")]), asked)

    def action_connect(self) -> None:
        """Connect this call with another of ours (attended transfer)."""
        line = self._talking()
        if line is None:
            return
        talking = line
        others = [other for other in self.board.live if other.talks and other is not line]

        def chosen(place: int | None) -> None:
            if place is not None:
                self.board.connect(talking, others[place])

        if not others:
            self._say("there is no other call to connect this one with")
        elif len(others) == 1:
            chosen(0)
        else:
            self.push_screen(Choice(f"Connect {_who(line)} with", [_who(other) for other in others]), chosen)

    def action_add_contact(self) -> None:
        """Ask for a name and a URI; those of the call that is looked at stand there."""
        line = self.selected
        peer = line.call.peer if line is not None else None
        uri = self._number.value.strip() or (str(peer.uri) if peer is not None else "")
        name = plain(peer.display) if peer is not None and not self._number.value.strip() else ""
        self.push_screen(Form("New contact", [("Name", name), ("URI", plain(uri))]), self._contact_asked)

    def _contact_asked(self, values: list[str] | None) -> None:
        if values is None:
            return
        name, uri = values
        try:
            self.contacts.add(name, uri)
        except LocalError as error:
            self._say(plain(str(error)))
        else:
            self._book.add_row(Text(name), key=name)
            self._say(f"{name} is a contact now")

    def _ringing(self) -> Line | None:
        line = self.selected
        if line is not None and line.rings_here:
            return line
        return next((other for other in self.board.live if other.rings_here), None)

    def _talking(self) -> Line | None:
        """The call that is looked at, when it is answered; who asks hears why not."""
        line = self.selected
        if line is None or not line.talks:
            self._say("that needs a call that is answered")
            return None
        return line


def _who(line: Line) -> str:
    return plain(line.call.remote_name, 44)


def _cells(line: Line, now: float) -> list[str]:
    levels = line.levels()
    way = "←" if line.call.incoming else "→"
    return [
        state_of(line),
        duration(line.seconds(now)),
        bar(levels.heard),
        bar(levels.said),
        f"{way} {plain(line.call.remote_name, 60)}",
    ]
