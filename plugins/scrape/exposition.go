package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/golive-dev/golive/guard"
)

// accept asks for what parse can read, the simplest first.
const accept = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5"

// parse reads an exposition. Samples without a time of their own were taken at the given one.
//
// expfmt reads the text format alone, and knows the names of a histogram's series only together. So parse gives
// it bare samples, without comments: each then is what it is called, in text and in OpenMetrics alike.
func parse(contentType string, body []byte, at time.Time) ([]guard.Sample, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("its content type %q cannot be read", contentType)
	}
	version := parameters["version"]
	var bare []byte
	switch {
	case media == "text/plain" && (version == "" || version == "0.0.4" || version == "1.0.0"):
		bare, err = withoutComments(body, func(line string) (string, error) { return line, nil })
	case media == "application/openmetrics-text" && !strings.HasPrefix(version, "2"):
		bare, err = withoutComments(body, classic)
		if err == nil && !bytes.HasSuffix(bytes.TrimSpace(body), []byte("# EOF")) {
			err = errors.New("its OpenMetrics does not end with # EOF: a part is missing")
		}
	default:
		err = fmt.Errorf("it answers %s, which are no metrics that golive reads", contentType)
	}
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(bare))
	if err != nil {
		return nil, err
	}
	var samples []guard.Sample
	for name, family := range families {
		seen := make(map[uint64]bool)
		for _, metric := range family.Metric {
			sample := guard.Sample{Name: name, Labels: make(map[string]string), Value: metric.GetUntyped().GetValue(), At: at}
			for _, label := range metric.Label {
				sample.Labels[label.GetName()] = label.GetValue()
			}
			key := model.LabelsToSignature(sample.Labels)
			if seen[key] {
				return nil, fmt.Errorf("it exposes %s%v twice", name, sample.Labels)
			}
			seen[key] = true
			if metric.TimestampMs != nil {
				sample.At = time.UnixMilli(metric.GetTimestampMs())
			}
			samples = append(samples, sample)
		}
	}
	return samples, nil
}

// withoutComments keeps the lines that are samples, and puts each through convert.
func withoutComments(body []byte, convert func(string) (string, error)) ([]byte, error) {
	var bare bytes.Buffer
	number := 0
	for line := range strings.Lines(string(body)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		converted, err := convert(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		bare.WriteString(converted)
		bare.WriteByte('\n')
	}
	return bare.Bytes(), nil
}

// classic turns a sample of OpenMetrics into one of the text format: without the exemplar, and with the time
// in milliseconds.
func classic(line string) (string, error) {
	end := strings.IndexAny(line, "{ ")
	if end >= 0 && line[end] == '{' {
		end = labelsEnd(line, end)
	}
	if end < 0 {
		return "", fmt.Errorf("%.100q is not a sample", line)
	}
	numbers, _, _ := strings.Cut(line[end:], "#")
	fields := strings.Fields(numbers)
	switch len(fields) {
	case 1:
		return line[:end] + " " + fields[0], nil
	case 2:
		seconds, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || math.Abs(seconds) > math.MaxInt64/1e4 {
			return "", fmt.Errorf("%.100q is not a time in seconds", fields[1])
		}
		return fmt.Sprintf("%s %s %d", line[:end], fields[0], int64(math.Round(seconds*1000))), nil
	}
	return "", fmt.Errorf("%.100q is not a sample", line)
}

// labelsEnd is the place after the brace that closes the one at start, or -1. Braces within quotes are text.
func labelsEnd(line string, start int) int {
	quoted := false
	for i := start; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '}' && !quoted:
			return i + 1
		}
	}
	return -1
}
