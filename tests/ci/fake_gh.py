"""A stand-in for GitHub's command line: runs with artifacts, and the comments of a pull request, in a folder.

It takes the arguments that the action uses, and refuses others. Filters are evaluated by jq itself.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ["FAKE_GH"])
ME = "github-actions[bot]"
PER_PAGE = 2


def main() -> None:
    """Answer one call."""
    arguments = sys.argv[1:]
    with (HOME / "calls.txt").open("a") as calls:
        print(*arguments, file=calls)
    if not os.environ.get("GH_TOKEN"):
        fail("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
    match arguments:
        case ["run", "list", *rest]:
            filtered(listed_runs(options(rest)), options(rest)["--jq"])
        case ["run", "download", number, *rest]:
            download(number, options(rest))
        case ["api", "user", "--jq", _]:
            fail("gh: Resource not accessible by integration (HTTP 403)")
        case ["api", "--paginate", path, "--jq", words]:
            for start in range(0, max(len(comments(path)), 1), PER_PAGE):
                filtered(comments(path)[start : start + PER_PAGE], words)
        case ["api", "--method", "POST" | "PATCH" as method, path, "--field", field]:
            write(method, path, field)
        case _:
            fail(f"unknown arguments {arguments}")


def listed_runs(asked: dict[str, str]) -> list[dict[str, object]]:
    """The numbers of the runs of a branch and what started them, the newest first."""
    assert asked["--json"] == "databaseId,event", asked
    runs = sorted((HOME / "runs" / asked["--branch"]).iterdir(), reverse=True)
    return [{"databaseId": int(run.name), "event": event_of(run)} for run in runs]


def event_of(run: Path) -> str:
    """What started a run: a push, unless a file beside its artifacts says otherwise."""
    file = run / "event"
    return file.read_text() if file.exists() else "push"


def download(number: str, asked: dict[str, str]) -> None:
    """Copy the artifact of a run."""
    source = next(HOME.glob(f"runs/*/{number}")) / asked["--name"]
    if not source.is_dir():
        fail("no artifact matches any of the names or patterns provided")
    shutil.copytree(source, asked["--dir"], dirs_exist_ok=True)


def comments(path: str) -> list[dict[str, object]]:
    """The comments of a pull request, the oldest first."""
    assert path == "repos/me/app/issues/7/comments", path
    return [json.loads(file.read_text()) for file in sorted((HOME / "comments").iterdir())]


def write(method: str, path: str, field: str) -> None:
    """Add a comment or replace the text of one."""
    if (HOME / "fork").exists():
        fail("gh: Resource not accessible by integration (HTTP 403)")
    text = Path(field.removeprefix("body=@")).read_text()
    number = path.rpartition("/")[2] if method == "PATCH" else str(100 + len(list((HOME / "comments").iterdir())))
    (HOME / "comments" / number).write_text(json.dumps({"id": int(number), "body": text, "user": {"login": ME}}))


def options(words: list[str]) -> dict[str, str]:
    """The options of a call."""
    return dict(zip(words[::2], words[1::2], strict=True))


def filtered(value: object, words: str) -> None:
    """Print what the filter makes of ``value``."""
    done = subprocess.run(["jq", "--raw-output", words], input=json.dumps(value), text=True, check=True, stdout=-1)
    print(done.stdout, end="")


def fail(words: str) -> None:
    """End as gh does."""
    sys.exit(words)


main()
