#!/bin/sh
# Takes a snapshot in a pipeline, and writes what a reviewer and an auditor need:
#   evidence.sh FOLDER [PREVIOUS]
# PREVIOUS is the snapshot of the last run; without it, or if there is no such file, nothing is compared.
#
# The connection, the token and the scope are variables, as for okta-ciam sync. FAIL_ON is what findings must not find
# (default: critical). The exit code is that of the command that failed; 1 means that findings found something.
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
# GitHub shows this file on the page of the run.
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$folder/changes.md" >> "$GITHUB_STEP_SUMMARY"
fi

okta-ciam report -f "$snapshot" -o "$folder/report.html"

# Last, since its exit code is the result.
okta-ciam findings -f "$snapshot" --out sarif="$folder/findings.sarif" --out junit="$folder/findings.xml" \
  --fail-on "${FAIL_ON:-critical}"
