#!/bin/sh
# Weights in Traefik, for golive's command backend: a file of the file provider says what is wanted, and Traefik's
# API says what is in force. Needs curl and jq. FILE has to be in a directory that the provider watches.
set -eu
: "${FILE:=/etc/traefik/dynamic/shop.yaml}" "${API:=http://127.0.0.1:8080/api/http/services}"
old="shop-$GOLIVE_FROM" new="shop-$GOLIVE_TO"

# weight prints what Traefik gives a service, and fails where Traefik divides between others than these two.
weight() {
	curl -fsS --max-time 5 "$API/shop@file" | jq -e --arg new "$new" --arg old "$old" '
		.weighted.services | map({(.name | sub("@file$"; "")): .weight}) | add
		| if ((keys - [$old, $new]) == []) and (.[$old] // 0) + (.[$new] // 0) == 100 then .[$new] // 0
		  else error("Traefik divides between others: \(.)") end'
}

case "$1" in
inspect)
	percent=$(weight)
	open=$(curl -fsS --max-time 5 "$API/$old@file" | jq '.status == "enabled" and ([.serverStatus // {} | .[] | select(. != "UP")] == [])')
	detail=""
	[ "$open" = true ] || detail="Traefik says that a server of $old is down"
	[ -w "$(dirname "$FILE")" ] || { open=false detail="$FILE cannot be written"; }
	jq -n --argjson percent "$percent" --argjson open "$open" --arg detail "$detail" \
		'{percent: $percent, undo: {open: $open, detail: $detail}}'
	;;
shift)
	cat > "$FILE.new" <<-YAML
		http:
		  services:
		    shop:
		      weighted:
		        services:
		          - {name: $old, weight: $((100 - GOLIVE_PERCENT))}
		          - {name: $new, weight: $GOLIVE_PERCENT}
	YAML
	mv "$FILE.new" "$FILE"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		if [ "$(weight)" = "$GOLIVE_PERCENT" ]; then exit 0; fi
		sleep 0.5
	done
	echo "Traefik has not taken over $FILE" >&2
	exit 1
	;;
esac
