package prometheus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// An answer is what the API says. Thanos says in a warning that a part of the data is missing, and VictoriaMetrics in
// isPartial.
type answer struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Infos     []string `json:"infos"`
	IsPartial bool     `json:"isPartial"`
	Data      struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// parseInto reads an answer of the API with a result of this kind, and returns what the server remarks on it. A part
// of the data is none: the arm whose instances are missing would look quiet.
func parseInto(status int, body []byte, kind string, result any) (remarks []string, err error) {
	var a answer
	err = json.Unmarshal(body, &a)
	switch {
	case err == nil && a.Error != "":
		return nil, fmt.Errorf("%s: %s", blame(a.ErrorType), a.Error)
	case status != http.StatusOK:
		return nil, fmt.Errorf("it answers status %d%s", status, hint(status))
	case err != nil || a.Status != "success" || a.Data.Type != kind:
		return nil, fmt.Errorf("it answers %.100q, which is not the API of Prometheus", body)
	}
	if err := a.whole(); err != nil {
		return nil, err
	}
	return slices.Concat(a.Warnings, a.Infos), json.Unmarshal(a.Data.Result, result)
}

// whole says what is missing from an answer. Remarks on the query itself, which Prometheus begins with PromQL, say
// nothing about the data, and infos are such remarks by their kind; whatever else a server warns of may.
func (a answer) whole() error {
	for _, warning := range a.Warnings {
		if !strings.HasPrefix(warning, "PromQL ") {
			return fmt.Errorf("it has only a part of the data: %s", warning)
		}
	}
	if a.IsPartial {
		return errors.New("it has only a part of the data: some of its storage does not answer")
	}
	return nil
}

// blame says whose mistake an error of the API is.
func blame(errorType string) string {
	switch errorType {
	case "bad_data":
		return "it cannot read the query"
	case "execution":
		return "it cannot answer the query"
	case "timeout", "canceled":
		return "it gave up on the query"
	}
	return "it is in trouble"
}

// hint says what an answer means that is not of the API: who gives it, or what it lacks.
func hint(status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return " (it does not let golive in: look at the credentials, and at the header of the tenant)"
	case status == http.StatusNotFound:
		return " (there is no API at this address: it may need a path, such as /prometheus)"
	case status == http.StatusTooManyRequests:
		return " (it has too many queries)"
	case status >= 500:
		return " (it is in trouble, or what stands before it)"
	}
	return ""
}
