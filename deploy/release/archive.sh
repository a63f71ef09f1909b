#!/bin/sh
# Packs the archive of a release, with man pages and completions from the binary itself:
#   archive.sh BINARY TARGET FOLDER
# Equal input gives equal bytes. SOURCE_DATE_EPOCH is the time of all files (default: 0).
set -eu

binary=$1
target=$2
out=$3

root=$(cd "$(dirname "$0")/../.." && pwd)
version=$("$binary" --version | cut -d ' ' -f 2)
name=okta-ciam-$version-$target
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/$name/completions" "$out"
cp "$binary" "$work/$name/okta-ciam"
"$binary" man --to "$work/$name/man/man1" > /dev/null
"$binary" completions bash > "$work/$name/completions/okta-ciam.bash"
"$binary" completions fish > "$work/$name/completions/okta-ciam.fish"
"$binary" completions zsh > "$work/$name/completions/_okta-ciam"
cp -R "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE" "$root/docs" "$root/deploy" "$work/$name/"

tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" --mode=u+rwX,go+rX,go-w \
  -C "$work" -cf - "$name" | gzip -9n > "$out/$name.tar.gz"
echo "$out/$name.tar.gz"
