#!/usr/bin/env bash
# The steps of action.yml, one per call. They take everything from environment variables and pass results on through
# $GITHUB_OUTPUT. A step fails only if the job cannot go on; what the run and the comparison say is decided in `verdict`.
set -euo pipefail

output() { printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }
warning() { printf '::warning title=phonebench::%s\n' "$*"; }
phonebench() { "$PYTHON" -m harness "$@"; }

install() {
  root=$(cd "$GITHUB_ACTION_PATH/../.." && pwd)
  "$PYTHON" -m pip install --quiet --disable-pip-version-check "${root}[$EXTRAS]"
}

# The id of the newest stored run, empty without any.
newest() {
  phonebench show --list --json --results "$RESULTS" |
    "$PYTHON" -c 'import json, sys; runs = json.load(sys.stdin); print(runs[-1]["id"] if runs else "")'
}

measure() {
  # A spec file is one word that names a file; anything else is a command line. No shell reads it.
  local words=() code=0 before run
  if [ -f "$SPEC" ]; then words=(--spec "$SPEC"); else read -r -a words <<<"$SPEC"; fi
  before=$(newest)
  phonebench run "${words[@]}" --results "$RESULTS" || code=$?
  output code "$code"
  # A run that was stopped by a lost device is stored, and what it measured is compared.
  run=$(newest)
  # Runs of other jobs may be in the same folder.
  if [ "$run" = "$before" ]; then
    echo "phonebench run ended with exit code $code before it stored anything" >&2
    exit "$((code ? code : 1))"
  fi
  phonebench report "$run" --results "$RESULTS" >/dev/null
  output run "$run"
  output report "$RESULTS/$run/report.html"
}

base() {
  if [ -n "$BASE_RUN" ]; then
    output base "$BASE_RUN"
    return
  fi
  if [ -z "${GITHUB_BASE_REF:-}" ]; then
    echo "This is no pull request, so there is nothing to compare with."
    return
  fi
  local folder ids id run
  folder="${RUNNER_TEMP:-/tmp}/phonebench-base-$NAME"
  # A pull request from a fork whose branch has the name of ours is listed too, and is not what we compare with.
  ids=$(gh run list --repo "$GITHUB_REPOSITORY" --branch "$GITHUB_BASE_REF" --workflow "$GITHUB_WORKFLOW" \
    --status success --limit 50 --json databaseId,event \
    --jq '[.[] | select(.event | startswith("pull_request") | not) | .databaseId][:10][]') ||
    { warning "The runs of branch $GITHUB_BASE_REF cannot be listed; give the action the permission actions: read."; return; }
  # The newest one that still has the artifact: artifacts expire.
  for id in $ids; do
    rm -rf "$folder"
    gh run download "$id" --repo "$GITHUB_REPOSITORY" --name "$NAME" --dir "$folder" || continue
    run=$(find "$folder" -name run.json -print -quit)
    [ -n "$run" ] || continue
    output base "$(dirname "$run")"
    return
  done
  warning "Branch $GITHUB_BASE_REF has no stored run named $NAME yet. It gets one when this workflow runs on it."
}

compare() {
  local code=0 verdict
  if [ -z "$BASE" ]; then
    output verdict none
    printf '**Measured, and not compared**: the base branch has no stored run.\n' >"$RESULTS/comment.md"
    phonebench export "$RUN" --to junit --results "$RESULTS" --output "$RESULTS" >/dev/null || true
    return
  fi
  phonebench compare "$BASE" "$RUN" --margin "$MARGIN" --results "$RESULTS" --json \
    --markdown "$RESULTS/comment.md" --junit "$RESULTS/junit.xml" >"$RESULTS/compare.json" || code=$?
  case $code in
    0 | 10) ;;
    *) exit "$code" ;;
  esac
  verdict=$("$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["verdict"])' <"$RESULTS/compare.json")
  output verdict "$verdict"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then cat "$RESULTS/comment.md" >>"$GITHUB_STEP_SUMMARY"; fi
}

comment() {
  local marker body login id
  marker="<!-- phonebench: ${NAME//--/- -} -->"
  body="$RESULTS/comment-body.md"
  {
    printf '%s\n### %s\n\n' "$marker" "$NAME"
    cat "$RESULTS/comment.md"
    printf '\nThe report is in the artifact `%s` of [this run](%s/%s/actions/runs/%s).\n' \
      "$NAME" "$GITHUB_SERVER_URL" "$GITHUB_REPOSITORY" "$GITHUB_RUN_ID"
  } >"$body"
  # A token of the workflow has no user of its own to ask for.
  login=$(gh api user --jq .login 2>/dev/null) || login='github-actions[bot]'
  # Only a comment of our own is updated: anybody could write one that begins with the marker.
  id=$(MARKER="$marker" LOGIN="$login" gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" \
    --jq '.[] | select((.body | startswith(env.MARKER)) and .user.login == env.LOGIN) | .id' | head -n 1) ||
    { warning "The comments of the pull request cannot be read; the verdicts are in the summary of the job."; return; }
  if [ -n "$id" ]; then
    set -- --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id"
  else
    set -- --method POST "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
  fi
  # The token of a pull request from a fork may not write. That must not fail the job.
  gh api "$@" --field "body=@$body" >/dev/null ||
    warning "The comment cannot be written (pull requests from forks may not); the verdicts are in the summary."
}

verdict() {
  if [ "$VERDICT" = regressed ] && [ "$FAIL" = true ]; then
    echo "phonebench: a cell regressed against the base branch" >&2
    exit 10
  fi
  if [ "$CODE" != 0 ]; then
    echo "phonebench: the run ended with exit code $CODE (3 or 20: a device; 4: a build; 5: a failure on the device)" >&2
    exit "$CODE"
  fi
}

case "${1:-}" in
  install | measure | base | compare | comment | verdict) "$1" ;;
  *)
    echo "usage: steps.sh install|measure|base|compare|comment|verdict" >&2
    exit 2
    ;;
esac
