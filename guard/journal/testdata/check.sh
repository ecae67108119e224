#!/bin/sh
# Checks a journal with sha256sum and jq alone: sh check.sh FILE. Prints how many records it holds.
prev= n=0
while IFS= read -r line; do
	n=$((n + 1))
	body=${line%,\"hash\":*}
	sum=$(printf %s "$body" | sha256sum | cut -d' ' -f1)
	printf %s "$line" | jq -e --arg prev "$prev" --arg sum "$sum" --argjson n "$n" \
		'.seq == $n and .prev == $prev and .hash == $sum' >/dev/null || { echo "line $n is broken"; exit 1; }
	prev=$sum
done <"$1"
echo "$n records"
