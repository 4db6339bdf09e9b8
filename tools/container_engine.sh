#!/bin/sh
# tools/container_engine.sh COMMAND…: run it where a container engine answers.
#
# One that answers already is used and left alone. Else, as root on Debian, an engine of our own runs
# for the time of the command: its layers stay in the cache for the next one, its socket is private.
set -eu

if docker version >/dev/null 2>&1; then
    exec "$@"
fi
if [ "$(id -u)" != 0 ]; then
    echo "no container engine answers (docker version); as root one is started here" >&2
    exit 1
fi
need="$(dirname "$0")/need.sh"

# Debian would start the engine that it installs, and go on running it after this script.
install_engine() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$need" dockerd
)
command -v dockerd >/dev/null || install_engine
"$need" docker debootstrap docker-compose

data=${EPASSPORT_CACHE:-.cache}/engine
mkdir -p "$data"
exec 9>"$data.lock"
if ! flock --nonblock 9; then
    echo "waiting for another run's engine to end: $data is one engine's at a time" >&2
    flock 9
fi
folder=$(mktemp -d)
export DOCKER_HOST="unix://$folder/docker.sock"
engine=

stop() {
    if [ -n "$engine" ]; then
        kill "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    fi
    # An engine leaves the host's own network mounted.
    awk -v below="$folder/" 'index($2, below) == 1 { print $2 }' /proc/mounts | xargs --no-run-if-empty umount
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# True when it answers within a minute. It dies with this script, but not by the Ctrl-C that ends
# the command: containers are removed first. Builds and tests use the host's network, so the engine
# leaves bridges, firewall and forwarding as they are.
start() {
    setsid setpriv --pdeathsig TERM dockerd --data-root "$data" --exec-root "$folder/run" \
        --pidfile "$folder/pid" --host "$DOCKER_HOST" \
        --bridge=none --iptables=false --ip-forward=false >"$folder/log" 2>&1 9>&- &
    engine=$!
    for _ in $(seq 300); do
        docker version >/dev/null 2>&1 && return 0
        kill -0 "$engine" 2>/dev/null || return 1
        sleep 0.2
    done
    kill "$engine"
    wait "$engine" || true
    return 1
}

if ! start; then
    engine=
    said=$(grep -v '^time=' "$folder/log" | tail -n 1)
    echo "the container engine does not start: ${said:-no answer within a minute}" >&2
    exit 1
fi
status=0
"$@" || status=$?
# Layers of builds long past; what the last ones left is what makes the next one quick.
docker image prune --force --filter until=168h >/dev/null
exit "$status"
