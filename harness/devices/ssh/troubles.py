"""What can be wrong with a board or the way to it: how ssh says it, and one action for each."""

from __future__ import annotations

import re

from harness.errors import BoardError, BoardTrouble

ADVICE: dict[BoardTrouble, str] = {
    BoardTrouble.NO_SSH: "install the OpenSSH client (Debian: apt install openssh-client)",
    BoardTrouble.NAME: "check the name, or give the board a Host entry with its HostName in ~/.ssh/config",
    BoardTrouble.UNREACHABLE: "check that it is switched on and on this network: try ping, then ssh {board}",
    BoardTrouble.CLOSED_PORT: "start the ssh server on the board (sudo systemctl enable --now ssh), or check the port",
    BoardTrouble.KEY_CHANGED: (
        "if the board was set up anew, forget its old key with ssh-keygen -R and log in once by hand: ssh {board}; "
        "if not, another machine answers under its name"
    ),
    BoardTrouble.KEY_UNKNOWN: "log in once by hand and confirm its key: ssh {board}",
    BoardTrouble.NOT_ALLOWED: (
        "phonebench cannot type a password: put your key on the board with ssh-copy-id {board}, "
        "until ssh {board} asks for nothing"
    ),
    BoardTrouble.LOST: "check its cable and its power supply, then run again with --resume",
    BoardTrouble.NO_PYTHON: "install Python 3.11 or newer on it (Debian: sudo apt install python3)",
    BoardTrouble.OLD_PYTHON: "install a newer one beside it, such as python3.12; nothing else on the board uses it",
    BoardTrouble.MACHINE: "use a board with a 64-bit Linux with glibc on ARM or x86, such as Raspberry Pi OS (64-bit)",
    BoardTrouble.FULL: "free some space on the board",
    BoardTrouble.BUSY: "wait until it has finished, or use another board",
    BoardTrouble.CLOCKS: "log in as root, allow sudo without a password, or leave out --clocks",
    BoardTrouble.CORES: "leave out --cores",
    BoardTrouble.RESTARTED: "check its power supply and its cooling, then run again with --resume",
    BoardTrouble.WHEELS: "give a folder with them: --wheels DIR",
    BoardTrouble.REFUSED: "run phonebench doctor --device ssh:{board}, which tries each step",
}

# A board may come back from these within a minute or two.
LOSSES = frozenset({BoardTrouble.LOST, BoardTrouble.UNREACHABLE, BoardTrouble.CLOSED_PORT})

# In the order in which they are looked for, as OpenSSH says them in the C locale.
_COMPLAINTS: tuple[tuple[str, BoardTrouble], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for .* has changed", BoardTrouble.KEY_CHANGED),
    (r"[Hh]ost key is known for|Host key verification failed", BoardTrouble.KEY_UNKNOWN),
    (r"Permission denied|Too many authentication failures|no mutual signature", BoardTrouble.NOT_ALLOWED),
    (r"Could not resolve hostname|hostname contains invalid characters", BoardTrouble.NAME),
    (r"Connection refused", BoardTrouble.CLOSED_PORT),
    (
        r"No route to host|Network is unreachable|[Cc]onnection timed out|Operation timed out|banner exchange"
        r"|Host is down",
        BoardTrouble.UNREACHABLE,
    ),
    (r"Connection (reset|closed)|Broken pipe|closed by remote host|not responding", BoardTrouble.LOST),
)

_HAPPENED: dict[BoardTrouble, str] = {
    BoardTrouble.NAME: "is a name that neither ~/.ssh/config nor the network knows",
    BoardTrouble.UNREACHABLE: "cannot be reached",
    BoardTrouble.CLOSED_PORT: "refuses connections",
    BoardTrouble.KEY_CHANGED: "answers with another host key than before",
    BoardTrouble.KEY_UNKNOWN: "has a host key that this computer does not know yet",
    BoardTrouble.NOT_ALLOWED: "does not let this user in",
    BoardTrouble.LOST: "closed the connection",
}


def board_error(
    trouble: BoardTrouble, board: str, what: str, *, command: str = "", output: str = "", advice: str = ""
) -> BoardError:
    """Return an error that says what is with ``board`` and what to do; ``advice`` replaces the usual one."""
    line = _telling_line(output)
    evidence = f" ({line})" if line else ""
    todo = advice or ADVICE[trouble].format(board=board)
    message = f"board {board!r} {what}{evidence}; {todo}"
    return BoardError(message, trouble=trouble, board=board, command=command, output=output)


def refusal_of(board: str, output: str, *, command: str = "") -> BoardError:
    """Return the error for a connection that failed or broke; ``output`` is what ssh wrote to standard error.

    Over a control connection ssh says nothing when the cable is pulled out.
    """
    trouble = next((trouble for pattern, trouble in _COMPLAINTS if re.search(pattern, output)), None)
    if trouble is None and not output.strip():
        trouble = BoardTrouble.LOST
    if trouble is None:
        return board_error(BoardTrouble.REFUSED, board, "cannot be used over ssh", command=command, output=output)
    return board_error(trouble, board, _HAPPENED[trouble], command=command, output=output)


def _telling_line(output: str) -> str:
    """The line of ssh's complaints that says most: the last one that is not a frame, a hint or a consequence."""
    lines = [line.strip() for line in output.splitlines()]
    noise = re.compile(r"^@|^Warning: Permanently|^debug\d|Host key verification failed|^\s*$")
    telling = [line for line in lines if not noise.search(line)]
    chosen = next((line for line in telling if any(re.search(pattern, line) for pattern, _ in _COMPLAINTS)), None)
    return (chosen or (telling[-1] if telling else ""))[:300]
