#!/bin/sh
# tools/need.sh PROGRAM…: make sure that each program named below is here.
#
# Debian as root installs what is missing; elsewhere one line says what to install.
set -eu

package_of() {
    case "$1" in
        python3) echo python3-venv ;;
        java) echo openjdk-17-jre-headless ;;
        javac | jlink) echo openjdk-17-jdk-headless ;;
        mvn) echo maven ;;
        dockerd) echo docker.io ;;
        docker) echo docker-cli ;; # newer Debians have it apart from docker.io
        debootstrap) echo debootstrap ;;
        docker-compose) echo docker-compose ;;
        softhsm2-util) echo softhsm2 ;;
        chromium) echo chromium ;;
        faketime) echo faketime ;;
        *) echo "tools/need.sh does not know $1" >&2; exit 2 ;;
    esac
}

is_here() {
    case "$1" in
        # Debian's python3 comes without the part that makes virtual environments.
        python3) python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' ;;
        # A Java that is too old starts, but knows no --release 17.
        javac) javac --release 17 -version ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

wanted_version() {
    case "$1" in
        python3) echo "Python 3.11 or newer with venv" ;;
        java | javac | jlink) echo "Java 17 or newer ($1)" ;;
        mvn) echo "Maven (mvn)" ;;
        dockerd) echo "a container engine" ;;
        docker) echo "the engine's client (docker)" ;;
        debootstrap) echo "debootstrap" ;;
        docker-compose) echo "docker-compose" ;;
        softhsm2-util) echo "SoftHSM 2 (softhsm2-util)" ;;
        chromium) echo "Chromium" ;;
        faketime) echo "libfaketime (faketime)" ;;
    esac
}

for program in "$@"; do
    is_here "$program" && continue
    package=$(package_of "$program")
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $package"
        log=$(mktemp)
        { apt-get update && DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$package"; } >"$log" 2>&1 || tail -3 "$log" >&2
        rm -f "$log"
    fi
    if ! is_here "$program"; then
        echo "$(wanted_version "$program") is missing; on Debian: apt-get install $package" >&2
        exit 1
    fi
done
