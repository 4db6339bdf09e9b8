#!/bin/sh
# engine.sh SERVICE: biometrics' Java, jars and classes to /opt/engine; for others an empty folder.
set -eu

mkdir -p /opt/engine
[ "$1" = biometrics ] || exit 0
here=$(dirname "$0")
if [ ! -d "$here/java" ]; then
    echo "biometrics needs its Java and its engine in build/images/engine: make images" >&2
    exit 1
fi
mv "$here/java" /opt/engine/java
mkdir /opt/engine/sourceafis
mv "$here/libs" "$here/classes" /opt/engine/sourceafis/
