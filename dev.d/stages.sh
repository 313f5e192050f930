# Sourced by ./dev: what it says while it works.

STAGE=""
STAGE_LINES=""
SKIPPED_LINES=""

say() { printf '%s\n' "$*"; }

# Stops everything with one clear sentence.
fail() {
  STAGE=""
  say "$*" >&2
  exit 1
}

# Something was left out: said now, and once more at the end, where it is not overlooked.
skipped() {
  say "SKIPPED: $*"
  SKIPPED_LINES="$SKIPPED_LINES
SKIPPED: $*"
}

# stage NAME COMMAND...: runs a command under a heading and notes its seconds.
stage() {
  local name="$1" start="$SECONDS"
  shift
  say ""
  say "==> $name"
  STAGE="$name"
  # Not in a condition: bash would no longer stop inside the function that is run.
  "$@"
  STAGE=""
  STAGE_LINES="$STAGE_LINES
$(printf '%6d s  %s' "$((SECONDS - start))" "$name")"
}

summary() {
  [ -n "$STAGE_LINES" ] || return 0
  say ""
  say "All stages passed:$STAGE_LINES"
  [ -z "$SKIPPED_LINES" ] || say "$SKIPPED_LINES"
}

on_exit() {
  local status="$1"
  if [ "$status" -ne 0 ] && [ -n "$STAGE" ]; then
    say "" >&2
    say "./dev stopped in the stage \"$STAGE\"; the lines above say why." >&2
  fi
}
trap 'on_exit $?' EXIT
