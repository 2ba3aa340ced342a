#!/usr/bin/env bash
# Builds the stack and deploys it to the AWS account and Region of your credentials.
#
#   ./install.sh                        SAM keeps the artifact in a bucket of its own
#   BUCKET_NAME=my-bucket ./install.sh  the artifact goes into your bucket
#   STACK_NAME=my-stack ./install.sh    another stack than aws-lambda-deploy-stack
#
# Whatever follows goes to `sam deploy`, such as
#   ./install.sh --parameter-overrides TargetFunctions='checkout-*'
set -euo pipefail
cd "$(dirname "$0")"

make --no-print-directory --silent tools
sam="${SAM:-.venv/bin/sam}"

if [ -n "${BUCKET_NAME:-}" ]; then
  bucket=(--s3-bucket "$BUCKET_NAME")
else
  bucket=(--resolve-s3)
fi

"$sam" build
"$sam" deploy --stack-name "${STACK_NAME:-aws-lambda-deploy-stack}" "${bucket[@]}" "$@"
