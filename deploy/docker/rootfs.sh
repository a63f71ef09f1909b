#!/bin/sh
# Lays out the files of the image:
#   rootfs.sh BINARY CERTIFICATES FOLDER
set -eu

binary=$1
certificates=$2
out=$3

mkdir -p "$out/usr/local/bin" "$out/etc/ssl/certs" "$out/data" "$out/tmp"
cp "$binary" "$out/usr/local/bin/okta-ciam"
chmod 0755 "$out/usr/local/bin/okta-ciam"
# Where the TLS library looks for root certificates; without them, no HTTPS works.
cp "$certificates" "$out/etc/ssl/certs/ca-certificates.crt"
chmod 0644 "$out/etc/ssl/certs/ca-certificates.crt"
# For snapshots. Without -v or a volume, they stay in the container.
chmod 0700 "$out/data"
# show, diff and export unpack snapshots into temporary files.
chmod 1777 "$out/tmp"
# An ordinary user can only give files to itself, and cannot build an image whose /data it does not own.
if [ "$(id -u)" = 0 ]; then
  chown 65532:65532 "$out/data"
fi
