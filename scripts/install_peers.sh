#!/usr/bin/env bash
# Installs the real SIP systems that the interop tests and the benchmarks talk to: Debian's packages when this is root
# and apt-get works, and two npm packages when Node.js is there. Always succeeds: what stays missing is printed, and the
# tests that need it are skipped with that reason. RINGBACK_NO_INSTALL=1 installs nothing.
# baresip-core brings all that is asked of baresip: its modules for codecs, SDES, DTLS, ICE and files.
set -uo pipefail
cd "$(dirname "$0")/.."

# What has to be there, and the package that brings it: a command, or a file given by a glob.
WANTED=(
    sipp=sip-tester
    baresip=baresip-core
    linphonec=linphone-cli
    sipsak=sipsak
    kamailio=kamailio
    '/usr/lib/*/kamailio/modules/tls.so=kamailio-tls-modules'
    '/usr/lib/*/kamailio/modules/websocket.so=kamailio-websocket-modules'
    '/usr/lib/*/kamailio/modules/db_sqlite.so=kamailio-sqlite-modules'
    sox=sox
    espeak-ng=espeak-ng
    turnserver=coturn
    '/usr/lib/*/libopus.so.0=libopus0'
    openssl=openssl
)
NODE=.venv/node
NODE_PACKAGES=(jssip@3 ws@8)

present() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

missing_packages() {
    local entry
    for entry in "${WANTED[@]}"; do
        present "${entry%=*}" || echo "${entry#*=}"
    done
}

install_with_apt() {
    local packages=() package policy=/usr/sbin/policy-rc.d guarded=no
    apt-cache show "$1" >/dev/null 2>&1 || timeout 300 apt-get update -qq || return 1
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then packages+=("$package"); fi
    done
    [ ${#packages[@]} -gt 0 ] || return 1
    # No daemon starts because it was installed: Kamailio would take port 5060.
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && guarded=yes
    fi
    echo "Installing for the interop tests: ${packages[*]}"
    DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends "${packages[@]}" \
        </dev/null >build/peers.log 2>&1 || tail -n 5 build/peers.log
    if [ $guarded = yes ]; then rm -f $policy; fi
}

mkdir -p build
mapfile -t packages < <(missing_packages)
if [ ${#packages[@]} -gt 0 ] && [ -z "${RINGBACK_NO_INSTALL:-}" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_with_apt "${packages[@]}" || echo "apt-get cannot install here."
        mapfile -t packages < <(missing_packages)
    fi
fi
if [ ${#packages[@]} -gt 0 ]; then
    echo "Missing for the interop tests (apt-get install): ${packages[*]}"
fi

if [ ! -d $NODE/node_modules/jssip ] || [ ! -d $NODE/node_modules/ws ]; then
    if ! command -v npm >/dev/null; then
        echo "Missing for the WebSocket interop test: npm (Node.js)"
    elif [ -z "${RINGBACK_NO_INSTALL:-}" ]; then
        mkdir -p $NODE
        timeout 300 npm install --prefix $NODE --no-audit --no-fund --loglevel=error "${NODE_PACKAGES[@]}" \
            >build/npm.log 2>&1 || { tail -n 5 build/npm.log; echo "Missing for the WebSocket interop test: jssip, ws"; }
    fi
fi
exit 0
