#!/bin/sh
# install_others.sh [SERVICE]: what our libraries, or the service, need of others, from /wheels.
#
# Symbols are taken off the packages' own modules, not off the libraries that wheels bring along,
# which their packers have rewritten already.
set -eu

wanted=$(mktemp)
python /build/requirements_of.py /build "$@" >"$wanted"
[ -s "$wanted" ] || exit 0
/opt/epassport/bin/python "$(ls /wheels/pip-*.whl)/pip" install --quiet --no-index \
    --find-links /wheels --no-cache-dir --requirement "$wanted"
cd /opt/epassport/lib/python*/site-packages
find . -depth -type d -name tests -exec rm -r {} +
find . -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +
