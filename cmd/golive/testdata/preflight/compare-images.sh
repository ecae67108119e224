# restic restores a file under the path that it had.
set -eu
sum() { (cd "$1" && find . -type f | sort | xargs cksum | cksum | tr ' ' -); }
restored=$(find "$GOLIVE_INTO" -type d -name images)
echo images "$(sum images)" "$(sum "$restored")"
