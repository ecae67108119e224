set -eu
scratch=scratch_$(echo "$GOLIVE_INTO" | cksum | cut -d ' ' -f 1)
look() { psql --no-psqlrc -Atqd "$1" -c "SELECT $2 FROM orders"; }
for what in 'count(*)' 'sum(id)'; do
	echo "$what" "$(look shop "$what")" "$(look "$scratch" "$what")"
done
dropdb "$scratch"
