#!/usr/bin/env bash
# Puts golive in its place: GOLIVE_BINARY if it is set, or the release GOLIVE_VERSION, or else what the source here builds.
# Hands its path on as the output golive, and its directory to the PATH of the steps that follow: one that holds nothing else, for
# what lies beside GOLIVE_BINARY may come with a pull request, and be called git.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { # an annotation; what it says may come from outside
	local text=${1//'%'/%25}
	text=${text//$'\r'/%0D}
	printf '::error title=golive::%s\n' "${text//$'\n'/%0A}"
	exit 2
}

into=$(mktemp -d "${RUNNER_TEMP:-/tmp}/golive-bin-XXXXXX")
golive=$into/golive
if [[ -n ${GOLIVE_BINARY:-} ]]; then
	[[ $GOLIVE_BINARY != *[$'\n\r']* ]] || say "binary: a path has one line"
	[[ -f $GOLIVE_BINARY && -x $GOLIVE_BINARY ]] || say "binary: $GOLIVE_BINARY is no program: build golive in a step before, or leave the input out"
	cp -- "$GOLIVE_BINARY" "$golive" || say "binary: $GOLIVE_BINARY could not be copied"
elif [[ -n ${GOLIVE_VERSION:-} ]]; then
	case $(uname -s) in Linux) os=linux ;; Darwin) os=darwin ;; *) say "version: there are releases for Linux and macOS alone: leave the input out, and set up Go before" ;; esac
	case $(uname -m) in x86_64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) say "version: there is no release for $(uname -m): leave the input out, and set up Go before" ;; esac
	name=$GOLIVE_VERSION/golive-$os-$arch
	sum=$(awk -v name="$name" '!/^#/ && $2 == name { print $1 }' "$here/checksums.txt")
	[[ $sum =~ ^[0-9a-f]{64}$ ]] || say "version: this action knows no checksum of $name, so it does not run it: leave the input out, and golive is built from source, or use an action that is as new as that release"
	curl --retry 3 --proto-redir =https -fsSL -o "$golive" "${GOLIVE_RELEASES:-https://github.com/golive-dev/golive/releases/download}/$name" || say "version: $name could not be fetched"
	if command -v sha256sum >/dev/null; then got=$(sha256sum <"$golive"); else got=$(shasum -a 256 <"$golive"); fi
	[[ ${got%% *} == "$sum" ]] || say "version: what was fetched as $name is not what was released: its SHA-256 is ${got%% *}, and should be $sum"
	chmod +x "$golive"
else
	command -v go >/dev/null || say "there is no Go to build golive with: use actions/setup-go before, or name a golive with the input binary"
	(cd "$here/../../.." && CGO_ENABLED=0 go build -trimpath -o "$golive" ./cmd/golive) || say "golive could not be built from the source of this action"
fi
printf 'golive=%s\n' "$golive" >>"$GITHUB_OUTPUT"
printf '%s\n' "$into" >>"$GITHUB_PATH"
