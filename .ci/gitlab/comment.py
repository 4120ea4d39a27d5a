"""Writes one note into a GitLab merge request, and updates it in place the next time.

    python comment.py NAME FILE.md

Takes CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID from the job, and a project access token with the scope
``api`` from PHONEBENCH_GITLAB_TOKEN. Needs Python's standard library alone.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PER_PAGE = 100


def main(name: str, file: str) -> int:
    """Write the note. Return 0, or 1 after saying what went wrong."""
    url = os.environ["CI_API_V4_URL"] + "/projects/{CI_PROJECT_ID}/merge_requests/{CI_MERGE_REQUEST_IID}/notes"
    notes = url.format_map(os.environ)
    marker = f"<!-- phonebench: {name.replace('--', '- -')} -->"
    body = f"{marker}\n### {name}\n\n{Path(file).read_text(encoding='utf-8')}"
    try:
        own = ask("GET", os.environ["CI_API_V4_URL"] + "/user")["username"]
        note = find(notes, marker, own)
        ask("POST" if note is None else "PUT", notes if note is None else f"{notes}/{note}", {"body": body})
    except (OSError, ValueError, KeyError) as error:
        print(f"the note cannot be written ({error}): check PHONEBENCH_GITLAB_TOKEN and its scope", file=sys.stderr)
        return 1
    return 0


def find(notes: str, marker: str, own: str) -> int | None:
    """Return the number of our own note with the marker: anybody could write one that begins with it."""
    page = 1
    while True:
        listed = ask("GET", f"{notes}?per_page={PER_PAGE}&page={page}&sort=asc")
        for note in listed:
            if note["body"].startswith(marker) and note["author"]["username"] == own:
                return int(note["id"])
        if len(listed) < PER_PAGE:
            return None
        page += 1


def ask(method: str, url: str, body: dict[str, str] | None = None) -> Any:
    """Ask GitLab once. Raises `OSError` for an answer that is an error."""
    headers = {"PRIVATE-TOKEN": os.environ["PHONEBENCH_GITLAB_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
