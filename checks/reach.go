package checks

import (
	"cmp"
	"errors"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// placeholder says that a text stands for one that is still missing.
func placeholder(text string) bool { return guard.Placeholder(text) }

// forms are the kinds of ways whose addresses have a form: the kind they come down to, and who can read one. What is
// of another kind may be written as one likes.
var forms = map[string]struct {
	kind string
	read func(address string) error
}{
	"phone":   {"phone", readPhone},
	"mobile":  {"phone", readPhone},
	"sms":     {"phone", readPhone},
	"email":   {"email", readMail},
	"url":     {"url", readURL},
	"web":     {"url", readURL},
	"webhook": {"url", readURL},
}

// ways are the different kinds of all ways by which somebody can be reached, and what is wrong with the others;
// both without addresses, which are nobody else's business.
func ways(reach []guard.Reach) (kinds, wrong []string) {
	good := map[string]bool{}
	for _, way := range reach {
		for kind, address := range way {
			form := forms[kind]
			switch {
			case placeholder(address):
				wrong = append(wrong, kind+" is a placeholder")
			case kind == guard.GitHubLogin: // a name, and no way
			case form.read == nil:
				good[kind] = true
			default:
				if err := form.read(strings.TrimSpace(address)); err != nil {
					wrong = append(wrong, kind+" "+err.Error())
					continue
				}
				good[cmp.Or(form.kind, kind)] = true
			}
		}
	}
	slices.Sort(wrong)
	return slices.Sorted(maps.Keys(good)), slices.Compact(wrong)
}

// The forms of telephone numbers, without what people write between the digits and behind them: any that can be called
// from anywhere, those of North America, and those among them that films use. Forms are all that is asked: to know the
// numbers of every country would be a third of the time that golive takes to start.
var (
	between      = regexp.MustCompile(`[\s().\p{Pd}/]|(?i:;?ext[.=]?\s*|x\s*)[0-9]{1,6}$`)
	telephone    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // ITU-T E.164; the shortest in use is of Niue
	northAmerica = regexp.MustCompile(`^\+1([2-9][0-9]{2}){2}[0-9]{4}$`)
	fiction      = regexp.MustCompile(`^\+1[0-9]{3}55501[0-9]{2}$`)
)

// readPhone wants a number as it can be called from anywhere. What is wrong with an address follows its kind in a
// sentence.
func readPhone(address string) error {
	number := between.ReplaceAllString(address, "")
	switch {
	case !telephone.MatchString(number):
		return errors.New("is not a telephone number with its country code, such as +44 20 7946 0001")
	case strings.HasPrefix(number, "+1") && !northAmerica.MatchString(number):
		return errors.New("is a telephone number that nobody can have")
	case fiction.MatchString(number):
		return errors.New("is a placeholder: numbers with 555-01 belong to films")
	}
	return nil
}

// reserved are the ends of addresses that documents use, RFC 2606. One that ends in .test may be of a test.
var reserved = regexp.MustCompile(`(?i)(^|\.)(example\.(com|net|org)|example|invalid)$`)

func readMail(address string) error {
	a, err := mail.ParseAddress(address)
	if err != nil || a.Address != address {
		return errors.New("is not an e-mail address")
	}
	return readHost(address[strings.LastIndex(address, "@")+1:])
}

func readURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("is not an address that begins with https://")
	}
	return readHost(u.Hostname())
}

func readHost(host string) error {
	if reserved.MatchString(host) {
		return errors.New("is a placeholder: nobody has an address there")
	}
	return nil
}
