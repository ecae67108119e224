package accesslog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said writes the requests of a line: what the field of the arm holds, the status, and the seconds.
func said(requests []request) string {
	var all []string
	for _, r := range requests {
		text := r.instance + " " + r.status
		if r.timed {
			text += fmt.Sprintf(" %gs", r.seconds)
		}
		all = append(all, strings.TrimSpace(text))
	}
	return strings.Join(all, "; ")
}

func TestRequests(t *testing.T) {
	json := settings{Format: "json", Fields: fields{Status: "s", Arm: "a", Seconds: "t"}}
	plain := settings{Fields: fields{Status: "status"}}
	format := func(name string) settings { s := plain; s.Format = name; return s }
	duration := settings{Format: "json", Fields: fields{Status: "s", Milliseconds: "t"}}
	const usual = `10.0.0.1 - ann [24/Nov/2026:03:00:00 +0000] "GET /a?b=c HTTP/1.1" 503 12`
	for name, c := range map[string]struct {
		settings settings
		line     string
		want     string
		err      string
	}{
		"text":                    {json, `{"s":"200","a":"10.0.0.7:80","t":"0.012"}`, "10.0.0.7:80 200 0.012s", ""},
		"numbers":                 {json, `{"s":200,"a":"x","t":1.5e-2,"more":{"s":1}}`, "x 200 0.015s", ""},
		"tried twice":             {json, `{"s":"502, 200","a":"x, y","t":"0.1, 0.2"}`, "x 502 0.1s; y 200 0.2s", ""},
		"tried twice, one status": {json, `{"s":"200","a":"x, y","t":"0.3"}`, "y 200 0.3s", ""},
		"tried twice, one time":   {json, `{"s":"502, 200","a":"x, y","t":"0.3"}`, "x 502; y 200 0.3s", ""},
		"redirected within":       {json, `{"s":"404, 502 : 200","a":"x, y : z","t":"0, 1 : 2"}`, "x 404 0s; y 502 1s; z 200 2s", ""},
		"nobody was asked":        {json, `{"s":"-","a":"-","t":"-"}`, "", ""},
		"nobody, escape=json":     {json, `{"s":"","a":"","t":0.000}`, "", ""},
		"nobody, its own status":  {json, `{"s":"301","a":"","t":0.000}`, "", ""},
		"nobody, and no status":   {json, `{"a":"","t":0.000}`, "", "it has no field s"},
		"no time":                 {json, `{"s":"502","a":"x","t":"-"}`, "x 502", ""},
		"milliseconds":            {duration, `{"s":200,"t":12}`, "200 0.012s", ""},
		"common":                  {format("common"), usual, "503", ""},
		"common, and more":        {format("common"), usual + ` 0.1 x`, "503", ""},
		"combined":                {format("combined"), usual + ` "http://x/\"" "curl \\ \" 200 1"`, "503", ""},
		"not HTTP":                {format("common"), `10.0.0.1 - - [24/Nov/2026:03:00:00 +0000] "\x16\x03" 400 0`, "400", ""},
		"named groups":            {settings{Regexp: `^(?P<a>\S+) (?P<s>\d+) (?P<t>\S+)us$`, Fields: fields{Status: "s", Arm: "a", Microseconds: "t"}}, "x 200 1500us", "x 200 0.0015s", ""},

		"not JSON":           {json, `{"s":`, "", "it is not an object of JSON"},
		"JSON, no object":    {json, `null`, "", "it is not an object of JSON"},
		"no arm":             {json, `{"s":200,"t":1}`, "", "it has no field a"},
		"no status":          {json, `{"a":"x","t":1}`, "", "it has no field s"},
		"no duration":        {json, `{"a":"x","s":200}`, "", "it has no field t"},
		"status is a word":   {json, `{"a":"x","s":"OK","t":1}`, "", "its field s holds no status"},
		"status is nothing":  {json, `{"a":"x","s":null,"t":1}`, "", "its field s holds no status"},
		"status is small":    {json, `{"a":"x","s":"0","t":1}`, "", "its field s holds no status"},
		"too many statuses":  {json, `{"a":"x","s":"200, 502","t":1}`, "", "its field s holds 2 statuses for 1 instances"},
		"duration is a word": {json, `{"a":"x","s":200,"t":"soon"}`, "", "its field t holds no duration"},
		"duration is NaN":    {json, `{"a":"x","s":200,"t":"NaN"}`, "", "its field t holds no duration"},
		"duration is below":  {json, `{"a":"x","s":200,"t":-1}`, "", "its field t holds no duration"},
		"another format":     {format("combined"), usual, "", "it does not have the format of the set-up"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFormat(c.settings)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.requests([]byte(c.line))
			if c.err != "" && (err == nil || err.Error() != c.err) || c.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, said(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// FuzzRequests holds whatever stands in a line to: an error that does not quote it, requests that can be counted, or none because
// nobody was asked.
func FuzzRequests(f *testing.F) {
	for _, line := range []string{
		"", "{}", `{"s":200,"a":"x, y : z","t":"0.1, -"}`, `{"s":"200, 502","a":"x, y","t":1e308}`, `{"s":"","a":", ","t":1}`, `{"s":200,"a":"y : ","t":""}`, "x 200 1", "x 1000 -", "\xff 200 NaN",
		`10.0.0.1 - - [x] "GET / HTTP/1.1" 200 - "" ""`,
	} {
		f.Add(line)
	}
	var formats []format
	for _, s := range []settings{
		{Format: "json", Fields: fields{Status: "s", Arm: "a", Milliseconds: "t"}},
		{Format: "combined", Fields: fields{Status: "status"}},
		{Regexp: `^(?P<a>\S+) (?P<s>\S+) (?P<t>\S+)$`, Fields: fields{Status: "s", Arm: "a", Seconds: "t"}},
	} {
		made, err := newFormat(s)
		if err != nil {
			f.Fatal(err)
		}
		formats = append(formats, made)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, format := range formats {
			requests, err := format.requests([]byte(line))
			if err != nil && len(requests) > 0 {
				t.Errorf("%d requests, error %v", len(requests), err)
			}
			if err == nil && len(requests) == 0 { // only a request to nobody is none
				field, _ := format.split([]byte(line))
				if text, there := field(format.fields.Arm); !there || strings.Trim(text, " ,:-") != "" {
					t.Errorf("%q is no request to %q", line, text)
				}
			}
			if err != nil && len(line) > 12 && strings.Contains(err.Error(), line) {
				t.Errorf("the error quotes the line: %v", err)
			}
			for _, r := range requests {
				if !(r.seconds >= 0 && r.seconds < 1e9) || r.status == "" && r.instance != "-" {
					t.Errorf("%q is a request that cannot be: %+v", line, r)
				}
			}
		}
	})
}
