#!/usr/bin/env bash
# Installs the wheel into an empty virtual environment, outside of any checkout, and uses it as a new user would.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
git -C "$root" archive --format=tar HEAD | (mkdir "$work/source" && tar -xf - -C "$work/source")
"$work/env/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work" "$work/source"
rm -rf "$work/source"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/ifrp_tf-*.whl
cd "$work"
PATH="$work/env/bin:$PATH"
ifrp --help | grep -q "recover "
ifrp sample-portrait --output=portrait.png
ifrp recover --input=portrait.png --output=out --side_by_side
test -s out/portrait_recovered.png
test -s out/portrait_side_by_side.png
python -c "from ifrp_tf import Recoverer; print(Recoverer.load().name)"
ifrp train --preset=toy --run_dir=t > train.log 2>&1 || { tail -n 20 train.log; exit 1; }
tail -n 1 train.log
ifrp recover --input=portrait.png --output=toy --model=t
test -s toy/portrait_recovered.png
echo "The wheel works in an empty environment."
