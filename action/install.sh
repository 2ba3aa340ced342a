#!/usr/bin/env bash
# Puts lambda-rollout, of this very version of the Action, into an environment of its own. The job's
# own Python and its packages stay as they are; nothing of the working directory is imported.
set -euo pipefail
home=$RUNNER_TEMP/lambda-rollout
if ! python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "::error title=lambda-rollout::Python 3.11 or newer is needed: put actions/setup-python before this step."
    exit 1
fi
python3 -I -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"
