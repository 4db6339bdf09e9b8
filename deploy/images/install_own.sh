#!/bin/sh
# install_own.sh SERVICE PACKAGE: our libraries and one service into /opt/epassport, and the
# command `service`, which runs it.
#
# The wheels lie beside this script when `make images` made them; else they are made here.
set -eu

service=$1
own=$(dirname "$0")
python=/opt/epassport/bin/python
pip="$(ls /wheels/pip-*.whl)/pip"
case $service in sandbox) last=libs/sandbox ;; *) last=services/$service ;; esac

if ! ls "$own"/*.whl >/dev/null 2>&1; then
    python -m venv --without-pip /build/tools
    /build/tools/bin/python "$pip" install --quiet --no-index --find-links /wheels hatchling editables
    for folder in libs/common libs/contracts libs/credentials "$last"; do
        /build/tools/bin/python "$pip" wheel --quiet --no-index --no-deps --no-build-isolation \
            --wheel-dir "$own" "/build/$folder"
    done
fi
distribution=epassport_$(basename "$last" | tr - _)
"$python" "$pip" install --quiet --no-index --no-deps --no-cache-dir \
    "$own"/epassport_common-*.whl "$own"/epassport_contracts-*.whl \
    "$own"/epassport_credentials-*.whl "$own/$distribution"-*.whl
printf '#!/bin/sh\nexec python -m %s "$@"\n' "$2" >/opt/epassport/bin/service
chmod 755 /opt/epassport/bin/service
