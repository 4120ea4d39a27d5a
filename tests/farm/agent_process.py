"""An agent with scripted phones that take real time and note their launches: an agent of a rack, without a rack.

``python -m tests.farm.agent_process URL CERTS DATA NAME KEYS LOG SECONDS``
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.farm.host_agent import AgentOptions, serve_agent
from harness.farm.tls import farm_place
from tests.farm.phones import Shelf


def main() -> None:
    url, certs, data, name, keys, log, seconds = sys.argv[1:]
    options = AgentOptions(
        place=farm_place(url, Path(certs)), data=Path(data), name=name, devices=tuple(keys.split(","))
    )
    serve_agent(options, lambda text: print(text, flush=True), Shelf(log=Path(log), seconds=float(seconds)).open)


if __name__ == "__main__":
    main()
