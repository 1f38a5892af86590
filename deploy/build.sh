#!/bin/sh
# Builds Wellkept and its plugins from this checkout into a virtual environment: for the service and for the image alike.
set -eu

usage() {
    cat <<'TEXT'
Usage: deploy/build.sh [--prefix DIR] [--python PYTHON] [--plugins "NAME..."] [--extras "NAME,..."] [--wheels DIR] [--no-deps]

  --prefix DIR       where the environment goes, which must not exist      [/opt/wellkept]
  --python PYTHON    the interpreter that it is made for                   [python3]
  --plugins "NAME"   which plugins; "" for none                            [all in plugins/]
  --extras "NAME"    extras of the core                                    [postgresql,otel]
  --wheels DIR       take all dependencies from this folder, nothing from a network; PYTHON must have hatchling
  --no-deps          leave dependencies out; as --wheels, touches no network
TEXT
}

die() {
    echo "build.sh: $1" >&2
    exit 2
}

here=$(cd "$(dirname "$0")/.." && pwd)
prefix=/opt/wellkept python=python3 extras=postgresql,otel wheels='' deps=yes
plugins=$(cd "$here/plugins" && ls -d */pyproject.toml | xargs -n 1 dirname)

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --python | --plugins | --extras | --wheels)
            [ $# -gt 1 ] || die "$1 needs a value"
            case $1 in
                --prefix) prefix=$2 ;;
                --python) python=$2 ;;
                --plugins) plugins=$2 ;;
                --extras) extras=$2 ;;
                --wheels) wheels=$2 ;;
            esac
            shift
            ;;
        --no-deps) deps=no ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && die "what is $1?" ;;
    esac
    shift
done

[ ! -e "$prefix" ] || die "$prefix exists already; remove it, or name another --prefix"
for plugin in $plugins; do
    [ -f "$here/plugins/$plugin/pyproject.toml" ] || die "there is no plugin $plugin"
done
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python is older than Python 3.11"

work=$(mktemp -d)
done=no
finish() {
    rm -rf "$work"
    [ "$done" = yes ] || rm -rf "$prefix"  # nothing half made
}
trap finish EXIT
trap 'exit 130' INT TERM

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_QUIET=1
isolation='' source=''
if [ "$deps" = no ]; then
    isolation=--no-build-isolation source='--no-index --no-deps'
elif [ -n "$wheels" ]; then
    isolation=--no-build-isolation source="--no-index --find-links $wheels"
fi

set -- "$here"
for plugin in $plugins; do set -- "$@" "$here/plugins/$plugin"; done
# shellcheck disable=SC2086 # options, several of them
"$python" -m pip wheel --no-deps $isolation --wheel-dir "$work" "$@"

"$python" -m venv "$prefix"
core=$(ls "$work"/wellkept-[0-9]*.whl)
[ -z "$extras" ] || [ "$deps" = no ] || core="$core[$extras]"
set -- "$core"
for wheel in "$work"/wellkept_*.whl; do [ ! -e "$wheel" ] || set -- "$@" "$wheel"; done
# shellcheck disable=SC2086
"$prefix/bin/python" -m pip install --constraint "$here/constraints.txt" $source "$@"

"$prefix/bin/wellkept" --version
done=yes
