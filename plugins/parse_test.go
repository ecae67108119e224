package plugins

import (
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for raw, want := range map[string]Line{
		"":                           {"", ""},
		"plain":                      {"", "plain"},
		"[WARN] plain":               {"", "[WARN] plain"},
		"{not JSON":                  {"", "{not JSON"},
		`{"answer":42}`:              {"", `{"answer":42}`},
		`{"level":"info"}`:           {"", `{"level":"info"}`},
		`{"msg":"m"}`:                {"", `{"msg":"m"}`},
		`{"level":"loud","msg":"m"}`: {"", `{"level":"loud","msg":"m"}`},
		`{"level":3,"msg":"m"}`:      {"", `{"level":3,"msg":"m"}`},
		`{"time":"2026-11-24T03:00:00Z","level":"INFO","msg":"m"}`:                             {"info", "m"},
		`{"level":"ERROR+4","msg":"m","b":true,"a":{"x":"y z"},"c":"","n":null}`:               {"error", `m a={"x":"y z"} b=true c="" n=null`},
		`{"level":"warning","ts":1764000000.5,"message":"m","e":"a=b"}`:                        {"warn", `m e="a=b"`},
		`{"level":"fatal","msg":"m"}`:                                                          {"error", "m"},
		`{"@level":"trace","@message":"m","@timestamp":"2026-11-24T03:00:00Z","level":"high"}`: {"trace", "m level=high"},
	} {
		if got := parseLine(raw); got != want {
			t.Errorf("%s: %+v, want %+v", raw, got, want)
		}
	}
}

// TestLines cuts text that comes in pieces of any size.
func TestLines(t *testing.T) {
	long := strings.Repeat("é", lineBytes)
	text := "a\n\nb" + strings.Repeat("c", 100) + "\n" + long + "\nd\r\nnot ended"
	for _, size := range []int{1, 7, 1024, len(text)} {
		var got []string
		l := lines{each: func(line string) { got = append(got, line) }}
		for rest := text; rest != ""; {
			piece := rest[:min(size, len(rest))]
			if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
			rest = rest[len(piece):]
		}
		want := []string{"a", "", "b" + strings.Repeat("c", 100), long[:lineBytes] + "…", "d"}
		if len(got) != len(want) {
			t.Fatalf("pieces of %d: %d lines, want %d", size, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("pieces of %d: line %d is %.50q, want %.50q", size, i, got[i], want[i])
			}
		}
	}
}
