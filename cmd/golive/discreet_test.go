package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

type hearing struct{ heard *guard.Notice }

func (h hearing) Notify(_ context.Context, n guard.Notice) (guard.Receipt, error) {
	*h.heard = n
	return guard.Receipt{}, nil
}

// TestDiscreetNotice: no word of a notice tells how somebody is reached, whatever part of it holds the word.
func TestDiscreetNotice(t *testing.T) {
	const call = "call PayCo (phone +44 20 7946 0005, email noc@payco.test)"
	var heard guard.Notice
	quiet := discreetNotifier{hearing{&heard}, report.DiscreetText(&guard.Plan{})}
	if _, err := quiet.Notify(t.Context(), guard.Notice{Title: call, Text: call, About: call}); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(heard)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "7946") || strings.Contains(string(text), "noc@") || strings.Count(string(text), "PayCo") != 3 {
		t.Errorf("it tells %s", text)
	}
}
