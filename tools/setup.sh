#!/bin/sh
# Makes $VENV with pinned packages, and finds or installs a browser. Called by `make setup`.
set -eu
: "${PYTHON:=python3}" "${VENV:=.venv}"

say() { printf '%s\n' "setup: $*" >&2; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed; $PYTHON is $("$PYTHON" -V 2>&1). Set PYTHON=/path/to/python3.11"
    exit 4
}

apt_get() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    [ -n "${apt_fresh:-}" ] || apt-get update -qq >/dev/null && apt_fresh=1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A bare Debian has no ensurepip: take the package as root, else virtualenv by whatever pip there is.
if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$VENV"
    if "$PYTHON" -m venv "$VENV" >/dev/null 2>&1; then
        :
    elif rm -rf "$VENV"; apt_get python3-venv && "$PYTHON" -m venv "$VENV"; then
        :
    elif rm -rf "$VENV"; "$PYTHON" -m pip install -q --target build/virtualenv virtualenv; then
        PYTHONPATH=build/virtualenv "$PYTHON" -m virtualenv -q "$VENV"
    else
        say "no venv, no pip. As root: apt-get install python3-venv; then again"
        exit 4
    fi
fi

"$VENV/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,shops]'

# A browser: what is there, else Playwright's download, else Debian's package. The headless shell takes a third of the
# processor time of the whole Chromium, so it is added where Debian has it. Without any browser the rest works.
browser() {
    "$VENV/bin/python" -c 'from marketwatch import browser, config; print(browser.find_chromium(config.settings()))' 2>/dev/null
}
case "$(browser)" in
*headless*shell*) ;;
"")
    timeout 300 "$VENV/bin/python" -m playwright install --only-shell chromium >/dev/null 2>&1 ||
        apt_get chromium-headless-shell || apt_get chromium || true
    browser >/dev/null || say "no browser: pages that need one, and screenshots, will be reported as not done"
    ;;
*) apt_get chromium-headless-shell 2>/dev/null || true ;;
esac
if ! fc-list :lang=zh 2>/dev/null | grep -q .; then
    apt_get fontconfig fonts-noto-cjk || say "no Chinese font: screenshots will show boxes (Debian: fonts-noto-cjk)"
fi

# The rules are compiled here, so that the first start is as quick as any other.
"$VENV/bin/python" -c '
from marketwatch.config import find_home
from marketwatch.matcher import Matcher
from marketwatch.rulebook import Rulebook
Matcher(Rulebook.load(find_home() / "rules"))'
