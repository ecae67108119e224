package logs

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timesWithin is how far into a line its time is looked for.
const timesWithin = 300

// clocks are the ways in which logs write when a line was written. A time without a zone is one of this machine. The first
// that fits a line counts.
var clocks = []struct {
	shape  *regexp.Regexp // whose first group is the time
	layout string
}{
	{regexp.MustCompile(`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d))`), time.RFC3339},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?[+-]\d{4})`), "2006-01-02T15:04:05-0700"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?)`), "2006-01-02T15:04:05"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)? ?[+-]\d{4})`), "2006-01-02 15:04:05 -0700"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)? UTC)`), "2006-01-02 15:04:05 MST"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?)`), "2006-01-02 15:04:05"},
	{regexp.MustCompile(`(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?)`), "2006/01/02 15:04:05"},
	{regexp.MustCompile(`\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]`), "02/Jan/2006:15:04:05 -0700"},
	{regexp.MustCompile(`^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)`), "Jan _2 15:04:05"},
}

// unix knows a time in seconds or milliseconds since 1970: at the beginning of a line, or as a field of JSON.
var unix = regexp.MustCompile(`(?:^|"(?:ts|time|timestamp|@timestamp)"\s*:\s*)(\d{10}|\d{13})(?:\.\d+)?\b`)

// timeOf reads when a line was written, as far as it says so. Near is a time of about then: some logs leave out the year.
func timeOf(line []byte, near time.Time) (time.Time, bool) {
	text := string(line[:min(len(line), timesWithin)])
	for _, c := range clocks {
		found := c.shape.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		written := strings.Replace(found[1], ",", ".", 1)
		if strings.HasSuffix(c.layout, " -0700") && !strings.Contains(written[len("2006-01-02 "):], " ") {
			written = written[:len(written)-5] + " " + written[len(written)-5:]
		}
		at, err := time.ParseInLocation(c.layout, written, time.Local)
		if err != nil {
			continue
		}
		if at.Year() == 0 {
			at = at.AddDate(near.In(time.Local).Year(), 0, 0)
			if at.Before(near.AddDate(0, -6, 0)) { // the log goes on into a new year
				at = at.AddDate(1, 0, 0)
			}
		}
		return at, true
	}
	if found := unix.FindStringSubmatch(text); found != nil {
		n, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		if len(found[1]) == 13 {
			return time.UnixMilli(n), true
		}
		return time.Unix(n, 0), true
	}
	return time.Time{}, false
}
