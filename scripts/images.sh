#!/bin/sh
# `make images`: service, trainer and mlflow, as deploy/Dockerfile.* says.
#   sh scripts/images.sh [push]
# Variables: REGISTRY (prefix of the names), TAG (latest), CUDA=1 (also the trainer for NVIDIA GPUs, TAG-cuda),
# BASE_IMAGE and TORCH_INDEX instead of the Dockerfiles' own, CA (a certificate authority's file, for pip),
# BUILD_NETWORK, SOURCE (the project's address, for a label). The version is pyproject.toml's, the revision git's.
set -eu

cd "$(dirname "$0")/.."
prefix=${REGISTRY:+${REGISTRY%/}/}region-rebalance
tag=${TAG:-latest}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git describe --always --dirty --abbrev=40 2>/dev/null || echo unknown)

build() { # $1: Dockerfile's ending, $2: tag, the rest: more options
    file=$1 as=$2
    shift 2
    began=$(date +%s)
    DOCKER_BUILDKIT=1 docker build --progress=plain --file "deploy/Dockerfile.$file" --tag "$prefix/$file:$as" \
        --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
        ${SOURCE:+--build-arg "SOURCE=$SOURCE"} ${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} ${CA:+--secret "id=ca,src=$CA"} \
        ${BUILD_NETWORK:+--network "$BUILD_NETWORK"} "$@" .
    size=$(docker image inspect --format '{{.Size}}' "$prefix/$file:$as")
    echo "images: $prefix/$file:$as, $((size / 1000000)) MB, after $(($(date +%s) - began)) s"
    [ "$push" = no ] || docker push "$prefix/$file:$as"
}

push=no
case ${1:-} in
push) push=yes ;;
'') ;;
*)
    echo "images: $1 is refused; allowed: push" >&2
    exit 2
    ;;
esac
build service "$tag"
build trainer "$tag" ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"}
build mlflow "$tag"
[ -z "${CUDA:-}" ] || build trainer "$tag-cuda" --build-arg TORCH_INDEX=
