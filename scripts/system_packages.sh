#!/usr/bin/env bash
# Shows a list of packages (system-packages.txt, or the one named) and installs by apt what is missing, where that is
# allowed (root, or sudo without a password). Starts no service and asks nothing. Never fails for a missing package: the
# tests that need one say so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

LIST=${1:-system-packages.txt}
POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*" >&2; }

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }

may_install() { command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; }

as_root() { if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi; }

# Packages of servers start them at once unless this policy forbids it.
forbid_starting() {
    [[ -e $POLICY ]] && return
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    forbid_starting
    echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    as_root "${apt[@]}" update </dev/null >&2 || say "system packages: 'apt-get update' failed; trying the list at hand"
    as_root "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

say "system packages ($LIST):"
missing=()
while read -r package _ purpose; do
    [[ -z $package || $package == \#* ]] && continue
    if is_installed "$package"; then state=present; else state=missing missing+=("$package"); fi
    say "$(printf '  %-8s %-23s %s' "$state" "$package" "$purpose")"
done <"$LIST"

if ((${#missing[@]} == 0)); then exit 0; fi
by_hand="sudo apt-get install --no-install-recommends ${missing[*]}"
if ! may_install; then
    say "  not allowed to install here; the tests that need them cannot run. By hand: $by_hand"
elif ! install_packages "${missing[@]}"; then
    say "  installing failed; the tests that need them cannot run. By hand: $by_hand"
fi
