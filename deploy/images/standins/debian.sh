#!/bin/sh
# deploy/images/standins/debian.sh IMAGE: a small Debian from this machine's package mirror.
#
# For places without an image registry. Documentation, manuals and translations stay out, also
# of what is installed later; an image that is there already is left alone. Needs root.
set -eu

image=$1
release=bookworm
docker image inspect "$image" >/dev/null 2>&1 && exit 0

mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" | head -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
root=$folder/root

if ! debootstrap --variant=minbase "$release" "$root" "$mirror" >"$folder/log" 2>&1; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
cat >"$root/etc/dpkg/dpkg.cfg.d/small" <<'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
END
cat >"$root/etc/apt/apt.conf.d/small" <<'END'
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::Languages "none";
END
# Python and PostgreSQL bring their own tables of characters.
rm -rf "$root"/usr/lib/*/gconv
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/man" "$root/usr/share/info" "$root/usr/share/locale" "$root/var/log" \
    "$root/var/cache/apt" "$root/var/lib/apt/lists" -type f -delete
tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "$image: Debian $release"
