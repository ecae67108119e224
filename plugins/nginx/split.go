package nginx

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A state is what golive last ordered. It stands in the file twice: for golive in the first line, and for nginx to
// answer.
type state struct {
	Percent int    `json:"percent"`
	Canary  string `json:"canary"` // the upstream with that share
	Stable  string `json:"stable"` // and the one with the rest
	Fence   int64  `json:"fence"`
	Seq     int64  `json:"seq"`
	// Finished says that the stable upstream may be taken out of nginx.conf.
	Finished bool `json:"finished,omitempty"`
}

// asks is where nginx says how an upstream is; empty: nowhere.
func (s state) asks(upstream string) (path string) {
	switch {
	case upstream == s.Stable && !s.Finished:
		return "/stable"
	case upstream == s.Canary && s.Percent > 0:
		return "/canary"
	}
	return ""
}

// share is how much of the traffic goes to an upstream, as far as the other one is that of the release too. What
// the last release left behind, all traffic on its new version, is nothing on the new version of the next.
func (s state) share(canary, stable string) (percent int, err error) {
	switch sole := s.sole(); {
	case s.Canary == canary && s.Stable == stable:
		return s.Percent, nil
	case sole == canary:
		return 100, nil
	case sole == stable:
		return 0, nil
	case sole != "":
		return 0, fmt.Errorf("nginx sends all traffic to %s, which is neither %s nor %s", sole, canary, stable)
	}
	return 0, fmt.Errorf("nginx divides traffic between %s and %s, and not %s and %s", s.Canary, s.Stable, canary, stable)
}

// sole is the upstream that gets everything, if there is one.
func (s state) sole() string {
	switch s.Percent {
	case 0:
		return s.Stable
	case 100:
		return s.Canary
	}
	return ""
}

func (s state) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and names
	}
	return string(text)
}

// A split is the whole content of the file.
type split struct {
	state
	key            string // what divides the clients
	variable       string // that holds the upstream
	status, health string
}

const head = "# Written by golive, which moves traffic by it: "

// String is the file. A share of nothing has no line, because nginx knows none. The upstreams are also named outright,
// so that nginx -t finds out whether they are there; but not the new one when nothing goes there, since it must not
// stand in the way back, nor the old one when it may be gone.
func (s split) String() string {
	division := fmt.Sprintf("\t%d%% %s;\n\t* %s;\n", s.Percent, s.Canary, s.Stable)
	if sole := s.sole(); sole != "" {
		division = fmt.Sprintf("\t* %s;\n", sole)
	}
	health := ""
	for _, upstream := range []string{s.Stable, s.Canary} {
		if path := s.asks(upstream); path != "" {
			health += fmt.Sprintf("\tlocation = %s { proxy_pass http://%s%s; }\n", path, upstream, s.health)
		}
	}
	return head + s.state.String() + `
split_clients "` + s.key + `" $` + s.variable + ` {
` + division + `}
server {
	listen ` + s.status + `;
	access_log off;
	location = /state { return 200 '{"state":` + s.state.String() + `,"arm":"$` + s.variable + `"}'; }
` + health + `}
`
}

// readState reads the first line of the file. A file that does not begin like this is not golive's to write over.
func readState(content []byte) (state, error) {
	line, _, _ := strings.Cut(string(content), "\n")
	text, ours := strings.CutPrefix(line, head)
	var s state
	if !ours || json.Unmarshal([]byte(text), &s) != nil {
		return state{}, errors.New(`its first line is not golive's, so golive does not write over it (README.md in examples/nginx has a first one)`)
	}
	return s, nil
}

// An answer is what nginx says: the state that it runs, and where it would send the request that asked.
type answer struct {
	state
	Arm string
}

func parseAnswer(body []byte) (answer, error) {
	var said struct {
		State *state `json:"state"`
		Arm   string `json:"arm"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.State == nil || said.Arm == "" {
		return answer{}, fmt.Errorf("it says %.100q, which is no state of golive's", body)
	}
	if s := *said.State; s.Percent < 0 || s.Percent > 100 || s.Canary == s.Stable {
		return answer{}, fmt.Errorf("it says that it runs %s", s)
	}
	return answer{*said.State, said.Arm}, nil
}
