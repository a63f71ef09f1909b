#!/bin/sh
# Takes a snapshot in a pipeline, and writes the files for a reviewer and an auditor:
#   evidence.sh FOLDER [PREVIOUS]
# PREVIOUS is the snapshot of the last run. If it is not given or does not exist, there is no comparison.
#
# The connection, the token and the scope come from the variables of okta-ciam sync. FAIL_ON is the value of
# `findings --fail-on` (default: critical). The exit code is that of the command that failed; 1 comes from `findings`.
set -eu

folder=${1:?usage: evidence.sh FOLDER [PREVIOUS]}
previous=${2:-}
snapshot=$folder/okta.c1z

mkdir -p "$folder"
okta-ciam sync -f "$snapshot" --manifest "$folder/okta.json"
okta-ciam verify "$snapshot" --manifest "$folder/okta.json"

if [ -n "$previous" ] && [ -f "$previous" ]; then
  okta-ciam diff "$previous" "$snapshot" --format markdown --exit-zero > "$folder/changes.md"
else
  echo "There is no earlier snapshot to compare with." > "$folder/changes.md"
fi
# GitHub shows the content of this file on the page of the run.
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$folder/changes.md" >> "$GITHUB_STEP_SUMMARY"
fi

okta-ciam report -f "$snapshot" -o "$folder/report.html"

# This is the last command, because its exit code is the result.
okta-ciam findings -f "$snapshot" --out sarif="$folder/findings.sarif" --out junit="$folder/findings.xml" \
  --fail-on "${FAIL_ON:-critical}"
