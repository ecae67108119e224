set -eu
pgbackrest --config="$PGBACKREST" --stanza=shop --log-level-console=error --pg1-path="$GOLIVE_INTO" --set="$GOLIVE_BACKUP" restore
