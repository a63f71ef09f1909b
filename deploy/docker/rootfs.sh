#!/bin/sh
# Creates the files of the image in FOLDER/root, and its empty folder for snapshots, FOLDER/data, which gets another owner:
#   rootfs.sh BINARY CERTIFICATES FOLDER
set -eu

binary=$1
certificates=$2
out=$3

root=$out/root
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/tmp" "$out/data"
cp "$binary" "$root/usr/local/bin/okta-ciam"
chmod 0755 "$root/usr/local/bin/okta-ciam"
# The TLS library reads root certificates from this path; HTTPS fails without them.
cp "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
chmod 0644 "$root/etc/ssl/certs/ca-certificates.crt"
# show, diff and export unpack snapshots to temporary files.
chmod 1777 "$root/tmp"
