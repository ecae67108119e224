#!/bin/sh
# Weights in Envoy, for golive's command backend: two keys of the runtime, which a route of weighted_clusters with
# runtime_key_prefix routing.shop reads. Needs curl and jq, and an admin_layer in layered_runtime. What is set here is
# forgotten when Envoy starts anew, so let the static layer have all traffic on the old version.
set -eu
: "${ADMIN:=http://127.0.0.1:9901}" "${PREFIX:=routing.shop}"
old="shop-$GOLIVE_FROM" new="shop-$GOLIVE_TO"

# weights prints what is in force.
weights() {
	curl -fsS --max-time 5 "$ADMIN/runtime?format=json" | jq -ec --arg new "$PREFIX.$new" --arg old "$PREFIX.$old" '
		[.entries[$new], .entries[$old]] | map(.final_value | tonumber)
		| if add == 100 then .[0] else error("the weights are \(.), and not 100 together") end'
}

case "$1" in
inspect)
	percent=$(weights)
	healthy=$(curl -fsS --max-time 5 "$ADMIN/stats?filter=^cluster%5C.$old%5C.membership_healthy$" | sed 's/.*: //')
	[ "${healthy:-0}" -gt 0 ] && open=true || open=false
	jq -n --argjson percent "$percent" --argjson open "$open" --arg detail "Envoy counts ${healthy:-0} healthy hosts of $old" \
		'{percent: $percent, undo: {open: $open, detail: $detail}}'
	;;
shift)
	curl -fsS --max-time 5 -X POST "$ADMIN/runtime_modify?$PREFIX.$new=$GOLIVE_PERCENT&$PREFIX.$old=$((100 - GOLIVE_PERCENT))" > /dev/null
	[ "$(weights)" = "$GOLIVE_PERCENT" ]
	;;
esac
