# That it is the cluster which was backed up; its rows are compared by the drill of the store orders.
set -eu
system() { pg_controldata "$1" | sed -n 's/^Database system identifier: *//p'; }
echo system "$(system "$PGDATA")" "$(system "$GOLIVE_INTO")"
