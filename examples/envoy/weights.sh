#!/bin/sh
# Weights in Envoy, for golive's command backend: two keys of the runtime, which a route of weighted_clusters with
# runtime_key_prefix routing.shop reads. Needs curl and jq, and an admin_layer in layered_runtime. What is set here is
# forgotten when Envoy starts anew, so let the static layer have all traffic on the old version. Two more keys keep the
# latest order, and earlier ones are refused; Envoy cannot compare and set at once, so two at the same moment are not
# kept apart.
set -eu
: "${ADMIN:=http://127.0.0.1:9901}" "${PREFIX:=routing.shop}"
case "$GOLIVE_FROM$GOLIVE_TO" in
*[!A-Za-z0-9._-]*) echo "a version has a character that is not of A-Z, a-z, 0-9, dot, underscore and dash: $GOLIVE_FROM, $GOLIVE_TO" >&2; exit 1 ;;
esac
old="shop-$GOLIVE_FROM" new="shop-$GOLIVE_TO"

# weights prints what is in force.
weights() {
	curl -fsS --max-time 5 "$ADMIN/runtime?format=json" | jq -ec --arg new "$PREFIX.$new" --arg old "$PREFIX.$old" '
		[.entries[$new], .entries[$old]] | map(.final_value | tonumber)
		| if add == 100 then .[0] else error("the weights are \(.), and not 100 together") end'
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
	percent=$(weights)
	name=$(printf %s "$old" | sed 's/[.]/%5C./g') # for a regular expression, in a URL
	healthy=$(curl -fsS --max-time 5 "$ADMIN/stats?filter=^cluster%5C.$name%5C.membership_healthy$" | sed 's/.*: //')
	[ "${healthy:-0}" -gt 0 ] && open=true || open=false
	jq -n --argjson percent "$percent" --argjson open "$open" --arg detail "Envoy counts ${healthy:-0} healthy hosts of $old" \
		'{percent: $percent, undo: {open: $open, detail: $detail}}'
	;;
shift)
	latest=$(curl -fsS --max-time 5 "$ADMIN/runtime?format=json" | jq -er --arg fence "$PREFIX.golive-fence" --arg seq "$PREFIX.golive-seq" '
		[.entries[$fence], .entries[$seq]] | map(.final_value // "0")
		| if all(test("^[0-9]+$")) then join(" ") else "0 0" end') # what somebody else wrote there is none
	# shellcheck disable=SC2086 # these are two words
	in_turn $latest
	weights="$PREFIX.$new=$GOLIVE_PERCENT&$PREFIX.$old=$((100 - GOLIVE_PERCENT))"
	curl -fsS --max-time 5 -X POST "$ADMIN/runtime_modify?$weights&$PREFIX.golive-fence=$GOLIVE_FENCE&$PREFIX.golive-seq=$GOLIVE_SEQ" > /dev/null
	[ "$(weights)" = "$GOLIVE_PERCENT" ]
	;;
esac
