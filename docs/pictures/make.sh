#!/usr/bin/env bash
# Makes the pictures of the documentation from the sample org: docs/pictures/make.sh [OKTA_CIAM]
# Needs LibreOffice and Chromium.
set -euo pipefail

tool=$(realpath "${1:-target/release/okta-ciam}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$tool" demo > /dev/null 2>&1
"$tool" review start -f demo.c1z -o sheet.xlsx --privileged admin > /dev/null
"$tool" report -f demo.c1z -o report.html --privileged admin > /dev/null

soffice --headless "-env:UserInstallation=file://$work/office" --convert-to html sheet.xlsx > /dev/null
# Only the first sheet, as a spreadsheet program shows it.
sed -i 's|</head>|<style>h1, hr, body > p, center, a + table ~ table { display: none }\
body, table, td { font-family: Arial, sans-serif !important; font-size: 13px !important }\
td { white-space: nowrap; overflow: hidden; max-width: 16em; border: 1px solid #ddd }</style></head>|' sheet.html

picture() {
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$3" --screenshot="$here/$1" \
    "file://$work/$2" 2> /dev/null
}
picture sheet.png sheet.html 2260,420
picture report.png report.html 1280,1500
