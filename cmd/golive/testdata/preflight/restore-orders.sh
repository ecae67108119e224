# Restores a dump into a database of its own, which compare-orders.sh drops. pg_restore ends well also where there is
# less in the dump than there was in the database.
set -eu
scratch=scratch_$(echo "$GOLIVE_INTO" | cksum | cut -d ' ' -f 1)
createdb "$scratch"
pg_restore --dbname "$scratch" "$GOLIVE_BACKUP"
