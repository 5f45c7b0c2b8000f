#!/usr/bin/env bash
# Makes everything Lapwing needs inside this folder: .tools/ (uv, pinned), .venv/ (requirements.txt, hash-checked,
# compiled) and .env (secrets of this copy). Safe to run at any time; does nothing when nothing changed.
#
#   scripts/setup.sh           all of it
#   scripts/setup.sh tools     only .tools/
#   scripts/setup.sh env       only .env
#   scripts/setup.sh peers     .tools/peers/ (requirements-peers.txt): what tests compare our figures with
#   scripts/setup.sh spark     .tools/spark/ (requirements-spark.txt): Spark, which factorises for `SparkAls`
#   scripts/setup.sh exim      .tools/exim/: Debian's Exim, a mail server that tests send to
#
# PYTHON=/path/to/python picks the interpreter; without it the newest tried one of 3.12, 3.13, 3.11 is taken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

LOG=.tools/setup.log
BEGAN=$SECONDS

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "setup: $*"
    exit 1
}

# ---- which Python ---------------------------------------------------------------------------------------------

# A shim such as pyenv's may exist and yet run nothing, so each candidate is run.
is_python() {
    [[ $("$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) == "$2" ]]
}

candidates() {
    local version=$1 folder
    type -ap "python$version" "python3" 2>/dev/null || true
    for folder in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv" /usr /usr/local /opt/homebrew; do
        [[ -n $folder ]] || continue
        compgen -G "$folder/versions/$version.*/bin/python" || true
        compgen -G "$folder/bin/python$version" || true
    done
}

find_python() {
    local version candidate
    if [[ -n ${PYTHON:-} ]]; then
        for version in 3.12 3.13 3.11; do
            if is_python "$PYTHON" "$version"; then
                command -v "$PYTHON"
                return
            fi
        done
        fail "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13 that runs; name another or leave PYTHON out."
    fi
    for version in 3.12 3.13 3.11; do
        while read -r candidate; do
            if is_python "$candidate" "$version"; then
                echo "$candidate"
                return
            fi
        done < <(candidates "$version")
    done
    fail "no Python 3.12, 3.13 or 3.11 runs here; install one (Debian: apt-get install python3 python3-venv)."
}

# ---- steps with a progress display ----------------------------------------------------------------------------

# step TITLE COMMAND...: on a terminal a spinner with seconds, elsewhere two plain lines; the output goes to the log.
step() {
    local title=$1 began=$SECONDS pid mark=0 status=0
    shift
    "$@" >>"$LOG" 2>&1 </dev/null &
    pid=$!
    if [[ -t 2 ]]; then
        while kill -0 "$pid" 2>/dev/null; do
            printf '\r  %s %s (%ds) ' "${spinner:mark++%4:1}" "$title" $((SECONDS - began)) >&2
            sleep 0.1
        done
        printf '\r\033[K' >&2
    else
        say "  $title ..."
    fi
    wait "$pid" || status=$?
    if ((status)); then
        tail -n 25 "$LOG" >&2
        fail "'$title' failed; the lines above are the end of $LOG."
    fi
    say "  $title: done in $((SECONDS - began)) s"
}
spinner='|/-\'

# uv draws its own progress on a terminal; elsewhere it prints plain lines.
step_by_uv() {
    local title=$1 began=$SECONDS
    shift
    if [[ -t 2 ]]; then
        say "  $title"
        "$@" </dev/null || fail "'$title' failed; see the lines above."
        say "  $title: done in $((SECONDS - began)) s"
    else
        step "$title" "$@"
    fi
}

# ---- the things made ------------------------------------------------------------------------------------------

apt_install() {
    local sudo=()
    ((EUID == 0)) || sudo=(sudo -n)
    "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -q &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
}

# Debian ships Python without ensurepip unless python3-venv is installed.
need_venv() {
    local python=$1 package
    if "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    package=$("$python" -I -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; then
        step "install $package" apt_install "$package"
    else
        fail "$python cannot make environments; run 'sudo apt-get install $package' and try again."
    fi
}

make_tools() {
    local wanted
    wanted=$(sha256sum <requirements-tools.txt)
    if [[ -x .tools/bin/uv && -f .tools/.made-from && $(<.tools/.made-from) == "$wanted" ]]; then return; fi
    local python
    python=$(find_python)
    need_venv "$python"
    step "environment of the tools ($("$python" -V))" "$python" -m venv --clear .tools/env
    step "install uv, hash-checked" .tools/env/bin/python -m pip install --quiet --disable-pip-version-check \
        --no-input --require-hashes --no-deps --only-binary :all: -r requirements-tools.txt
    mkdir -p .tools/bin
    ln -sfn ../env/bin/uv .tools/bin/uv
    echo "$wanted" >.tools/.made-from
}

# fingerprint LOCK PYTHON: what an environment is made from, and what its stamp holds.
fingerprint() {
    printf '%s %s\n' "$(sha256sum <"$1")" "$("$2" -I -c 'import sys; print(sys.version)' | tr '\n' ' ')"
}

# is_up_to_date FOLDER LOCK
is_up_to_date() {
    local python=$1/bin/python lock=$2 stamp=$1/.made-from
    [[ -f $stamp && -x $python ]] || return 1
    [[ -z ${PYTHON:-} || $(fingerprint "$lock" "$PYTHON") == "$(<"$stamp")" ]] || return 1
    [[ $(fingerprint "$lock" "$python" 2>/dev/null) == "$(<"$stamp")" ]]
}

compile_all() {
    # Some packages carry files that are no Python of today (templates); those may fail, the rest is compiled.
    # Their own tests, a fifth of all code, are never run here.
    env -u PYTHONDONTWRITEBYTECODE "$1/bin/python" -m compileall -q -j2 -x '/tests/' "$1/lib" || true
}

# make_environment FOLDER LOCK
make_environment() {
    local folder=$1 lock=$2 stamp=$1/.made-from python uv=.tools/bin/uv
    if is_up_to_date "$folder" "$lock"; then return; fi
    make_tools
    python=$(find_python)
    say "  Python: $("$python" -V) ($python)"
    rm -f "$stamp"
    if ! { [[ -x $folder/bin/python ]] &&
        [[ $(fingerprint "$lock" "$folder/bin/python") == "$(fingerprint "$lock" "$python")" ]]; }; then
        step "make $folder" "$uv" venv --clear --python "$python" --no-python-downloads "$folder"
    fi
    step_by_uv "install $(grep -c '^[a-z].*==' "$lock") packages, hash-checked ($lock)" \
        "$uv" pip sync --python "$folder/bin/python" --build-constraints "$lock" --require-hashes "$lock"
    step "compile them once" compile_all "$folder"
    fingerprint "$lock" "$folder/bin/python" >"$stamp"
}

# Unpacked instead of installed: as packages Exim and Postfix exclude each other. Tests run it without rights, under a user
# that libnss-wrapper makes it believe in, so its set-uid bit goes. Where it cannot be had, they say so.
make_exim() {
    local draft=.tools/exim.draft package
    rm -rf "$draft" && mkdir -p "$draft"
    if ! (cd "$draft" && apt-get download -q exim4-daemon-light libidn12 libgnutls-dane0 libunbound8 libevent-2.1-7 \
        libnss-wrapper) >>"$LOG" 2>&1; then
        say "  Exim cannot be downloaded by apt-get; the tests that send to it cannot run"
        return
    fi
    for package in "$draft"/*.deb; do
        dpkg-deb -x "$package" "$draft" && rm "$package"
    done
    chmod u-s "$draft/usr/sbin/exim4"
    rm -rf .tools/exim && mv "$draft" .tools/exim
}

# Secrets of this copy: made once, readable by their owner only, never overwritten.
make_env_file() {
    [[ -e .env ]] && return
    local python
    python=$(if [[ -x .venv/bin/python ]]; then echo .venv/bin/python; else find_python; fi)
    "$python" -I - <<'PYTHON'
import base64, os, secrets

lines = [
    "# Made by scripts/setup.sh: the secrets of this copy. Keep them: with another token key, links in mail",
    "# that is out already stop working. Every other setting is explained in .env.example.",
    f"LAPWING_TOKEN_KEY={secrets.token_urlsafe(48)}",
    f"AIRFLOW__API_AUTH__JWT_SECRET={secrets.token_urlsafe(64)}",
    f"AIRFLOW__API__SECRET_KEY={secrets.token_urlsafe(64)}",
    f"AIRFLOW__CORE__FERNET_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}",
    "# The demo's shop is of 2017: past days are replayed, and mail stays on this machine. Remove the line when you",
    "# bring your own shop.",
    "LAPWING_REPLAY=true",
    "# Who approves what a person would be asked about: nobody sits beside the demo. Remove this line with the other.",
    "LAPWING_APPROVER=demo",
    "# docker-compose.yml only:",
    f"AIRFLOW_ADMIN_PASSWORD={secrets.token_urlsafe(12)}",
    f"POSTGRES_PASSWORD={secrets.token_urlsafe(24)}",
    f"REDIS_PASSWORD={secrets.token_urlsafe(24)}",
]
draft = f".env.{os.getpid()}"
with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
    file.write("\n".join(lines) + "\n")
try:
    os.link(draft, ".env")  # fails where somebody made one meanwhile
except FileExistsError:
    pass
finally:
    os.unlink(draft)
PYTHON
    say "  made .env with fresh secrets (mode 600)"
}

# ---- main -----------------------------------------------------------------------------------------------------

mkdir -p .tools
if [[ -z ${HOME:-} || ! -w ${HOME:-/} ]]; then export UV_CACHE_DIR=$PWD/.tools/cache; fi
if command -v flock >/dev/null; then # two makes at once: the second waits, then finds everything done
    exec 9>.tools/lock
    flock 9
fi
case ${1:-all} in
    all)
        if is_up_to_date .venv requirements.txt && [[ -e .env ]]; then
            say "setup: up to date"
            exit 0
        fi
        say "setup:"
        make_environment .venv requirements.txt
        make_env_file
        ;;
    tools) make_tools ;;
    env) make_env_file ;;
    exim)
        if [[ -x .tools/exim/usr/sbin/exim4 ]]; then exit 0; fi
        say "setup: .tools/exim"
        make_exim
        ;;
    peers | spark)
        if is_up_to_date ".tools/$1" "requirements-$1.txt"; then exit 0; fi
        say "setup: .tools/$1"
        make_environment ".tools/$1" "requirements-$1.txt"
        ;;
    *) fail "unknown part '$1'; say nothing, 'tools', 'env', 'peers', 'spark' or 'exim'." ;;
esac
say "setup: finished in $((SECONDS - BEGAN)) s"
