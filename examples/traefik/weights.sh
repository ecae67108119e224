#!/bin/sh
# Weights in Traefik, for golive's command backend: a file of the file provider says what is wanted, and Traefik's
# API says what is in force. Needs curl and jq. FILE has to be in a directory that the provider watches. Its first line
# keeps the latest order, and earlier ones are refused; without flock(1), two at the same moment are not kept apart.
set -eu
: "${FILE:=/etc/traefik/dynamic/shop.yaml}" "${API:=http://127.0.0.1:8080/api/http/services}"
case "$GOLIVE_FROM$GOLIVE_TO" in
*[!A-Za-z0-9._-]*) echo "a version has a character that is not of A-Z, a-z, 0-9, dot, underscore and dash: $GOLIVE_FROM, $GOLIVE_TO" >&2; exit 1 ;;
esac
old="shop-$GOLIVE_FROM" new="shop-$GOLIVE_TO"

# weight prints what Traefik gives a service, and fails where Traefik divides between others than these two.
weight() {
	curl -fsS --max-time 5 "$API/shop@file" | jq -e --arg new "$new" --arg old "$old" '
		.weighted.services | map({(.name | sub("@file$"; "")): .weight}) | add
		| if ((keys - [$old, $new]) == []) and (.[$old] // 0) + (.[$new] // 0) == 100 then .[$new] // 0
		  else error("Traefik divides between others: \(.)") end'
}

# in_turn ends the script if the latest order, whose fence and number it takes, was given after this one.
in_turn() {
	if [ "$1" -gt "$GOLIVE_FENCE" ] || { [ "$1" -eq "$GOLIVE_FENCE" ] && [ "$2" -gt "$GOLIVE_SEQ" ]; }; then
		echo "order $GOLIVE_FENCE/$GOLIVE_SEQ is too late: $1/$2 has been obeyed" >&2
		exit 1
	fi
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
	if command -v flock > /dev/null; then # a directory can be locked by whoever can read it, and leaves no file behind
		exec 9< "$(dirname "$FILE")"
		flock -w 5 9 || { echo "another order holds $(dirname "$FILE")" >&2; exit 1; }
	fi
	latest="" # what somebody else wrote there is none
	[ ! -e "$FILE" ] || latest=$(sed -n 's/^# golive: the latest order is \([0-9][0-9]* [0-9][0-9]*\)$/\1/p' "$FILE")
	# shellcheck disable=SC2086 # these are two words
	in_turn ${latest:-0 0}
	cat > "$FILE.new" <<-YAML
		# golive: the latest order is $GOLIVE_FENCE $GOLIVE_SEQ
		http:
		  services:
		    shop:
		      weighted:
		        services:
		          - {name: $old, weight: $((100 - GOLIVE_PERCENT))}
		          - {name: $new, weight: $GOLIVE_PERCENT}
	YAML
	mv "$FILE.new" "$FILE"
	exec 9<&- # the next order need not wait for Traefik
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		if [ "$(weight)" = "$GOLIVE_PERCENT" ]; then exit 0; fi
		sleep 0.5
	done
	echo "Traefik has not taken over $FILE" >&2
	exit 1
	;;
esac
