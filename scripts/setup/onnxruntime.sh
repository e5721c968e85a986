#!/usr/bin/env bash
# Setup: ONNX Runtime's shared library, as the PyPI wheel onnxruntime carries it.
# Promise: target/deps/onnxruntime/libonnxruntime.so is the version of requirements.txt.
. "$(dirname "$0")/../lib.sh"

version=$(sed -n 's/^onnxruntime==//p' "$SETUP/requirements.txt")
dir=$DEPS/onnxruntime
if [ -f "$ORT_LIB" ] && [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ]; then
  say "ONNX Runtime $version: present"
  exit 0
fi

say "ONNX Runtime $version: copying the library from its wheel"
found=$("$VENV/bin/python" -c 'import importlib.util as u; print(u.find_spec("onnxruntime").submodule_search_locations[0])')
lib=$found/capi/libonnxruntime.so.$version
[ -f "$lib" ] || die "the wheel onnxruntime $version has no capi/libonnxruntime.so.$version on this platform"
mkdir -p "$dir"
install -m 0755 "$lib" "$ORT_LIB"
for notice in LICENSE ThirdPartyNotices.txt; do
  [ ! -f "$found/$notice" ] || install -m 0644 "$found/$notice" "$dir/$notice"
done
printf '%s\n' "$version" >"$dir/version"
