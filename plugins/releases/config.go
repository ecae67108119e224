package releases

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

// A config is what a plan says.
type config struct {
	place
	Run        string         `json:"run"`
	Files      []string       `json:"files"`
	Supervisor string         `json:"supervisor"`
	Config     string         `json:"config"`
	Sudo       bool           `json:"sudo"`
	Restart    string         `json:"restart"`
	PID        string         `json:"pid"`
	Hosts      []placed       `json:"hosts"`
	SSHConfig  string         `json:"ssh_config"`
	Settle     guard.Duration `json:"settle"`
	Stop       guard.Duration `json:"stop"`
	Timeout    guard.Duration `json:"timeout"`
	AtOnce     int            `json:"at_once"`
	Keep       int            `json:"keep"`
}

// A place is what a host may have of its own.
type place struct {
	Root    guard.Template `json:"root"`
	Service guard.Template `json:"service"`
	Health  guard.Template `json:"health"`
}

// A placed is a host.
type placed struct {
	place
	Name   string `json:"name"`
	SSH    string `json:"ssh"`
	Weight *int   `json:"weight"`
}

// supervisors are those that host.sh knows, and the directory of a service of which only the name is given.
var supervisors = map[string]string{
	"command": "", "runit": "/etc/service", "s6": "/run/service", "supervisor": "", "systemd": "",
}

// NewBackend reads {root, run, files, supervisor, service, config, sudo, restart, pid, health, hosts, ssh_config, settle,
// stop, timeout, at_once, keep}.
//
// Root is the directory that holds releases and current, run the program in a release that is started, and files are
// what else has to be in a release for it to be whole. Supervisor is systemd, runit, supervisor, s6, or command, and
// service what it is to restart: a unit, a program, or the directory of a service, which may be a name in /etc/service
// (runit) or in /run/service (s6). Config is the file that supervisorctl reads. The supervisor "command" has two shell
// commands instead: restart, whose output a daemon must not keep, and pid, which prints the number of the process. With
// sudo, sudo -n asks the supervisor and looks at processes.
//
// Hosts are {name, ssh, root, service, health, weight}, in the order in which they get the new version; without any,
// this machine is the only one. Ssh is where ssh finds a host, which is this machine if it has none, and ssh_config
// the file that it reads in place of ~/.ssh/config; the keys of hosts have to be known. Health is an address that has
// to answer with 2xx after a restart. Root, service and health of a host are those of all if it has none, where
// {{.Host}} stands for its name. Weight is its part of the traffic, 1 unless said otherwise.
//
// A process has to live for settle (1s); one that does not heed a restart is killed after stop (10s); a host may take
// timeout (30s) for all of it. At_once (1) hosts get the new version at once; all go back at once. Finish leaves the
// keep (5) newest releases, and whatever is in use.
func NewBackend(with guard.With) (guard.Backend, error) {
	c := config{
		Settle: guard.Duration(time.Second), Stop: guard.Duration(10 * time.Second), Timeout: guard.Duration(30 * time.Second),
		AtOnce: 1, Keep: 5,
	}
	mistakes := []error{with.Decode(&c), c.check(), c.place.check("")}
	if len(c.Hosts) == 0 {
		c.Hosts = []placed{{Name: "localhost"}}
	}
	var hosts []host
	for i, p := range c.Hosts {
		at := fmt.Sprintf("hosts[%d].", i)
		if slices.ContainsFunc(c.Hosts[:i], func(other placed) bool { return other.Name == p.Name }) {
			mistakes = append(mistakes, fmt.Errorf("%sname: %q is taken", at, p.Name))
		}
		h, err := c.host(at, p)
		mistakes = append(mistakes, p.check(at), err)
		hosts = append(hosts, h)
	}
	health, err := client.Defaults().Client()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Backend{
		hosts: hosts, sshConfig: c.SSHConfig, run: c.Run, files: c.Files,
		supervisor: c.Supervisor, config: c.Config, sudo: c.Sudo, restart: c.Restart, pid: c.PID,
		settle: c.Settle.Std(), stop: c.Stop.Std(), timeout: c.Timeout.Std(),
		atOnce: c.AtOnce, keep: c.Keep, health: health,
	}, nil
}

// check says what is wrong with what is the same for all hosts.
func (c config) check() error {
	var mistakes []error
	wrong := func(format string, words ...any) { mistakes = append(mistakes, fmt.Errorf(format, words...)) }
	if !inside(c.Run) {
		wrong("run: missing, or not in the release (the program that is started, like bin/shop)")
	}
	for i, file := range c.Files {
		if !inside(file) {
			wrong("files[%d]: %q is not in the release (a path like public/index.html)", i, file)
		}
	}
	if _, known := supervisors[c.Supervisor]; !known {
		wrong("supervisor: %q is none of %s", c.Supervisor, strings.Join(slices.Sorted(maps.Keys(supervisors)), ", "))
	}
	for key, command := range map[string]string{"restart": c.Restart, "pid": c.PID} {
		if (command != "") != c.commands() {
			wrong("%s: the supervisor command needs it, and no other (a shell command: restart restarts the service, pid prints the number of its process)", key)
		}
	}
	if c.Config != "" && c.Supervisor != "supervisor" {
		wrong("config: it is for the supervisor called supervisor (the file that supervisorctl reads)")
	}
	for key, duration := range map[string]guard.Duration{"settle": c.Settle, "stop": c.Stop, "timeout": c.Timeout} {
		if duration <= 0 {
			wrong("%s: must be longer than nothing", key)
		}
	}
	for key, number := range map[string]int{"at_once": c.AtOnce, "keep": c.Keep} {
		if number < 1 {
			wrong("%s: must be 1 or more", key)
		}
	}
	return errors.Join(mistakes...)
}

// commands says that the supervisor is two commands of the user's.
func (c config) commands() bool { return c.Supervisor == "command" }

// check says what is wrong with the templates of a place; at is where it stands.
func (p place) check(at string) error {
	var mistakes []error
	for key, template := range map[string]guard.Template{"root": p.Root, "service": p.Service, "health": p.Health} {
		text, err := guard.Fill(template, map[string]string{"Host": "host"})
		if err == nil && key == "root" && text != "" && !path.IsAbs(text) {
			err = fmt.Errorf("%q is not the path of a directory, seen from / (it holds releases and current, like /srv/shop)", text)
		}
		if err == nil && key == "health" && text != "" {
			_, err = client.ParseURL(text)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s%s: %w", at, key, err))
		}
	}
	return errors.Join(mistakes...)
}

// host is the host with all that it has in common with others; at is where it stands.
func (c config) host(at string, p placed) (host, error) {
	fill := func(own, all guard.Template) string {
		text, _ := guard.Fill(cmp.Or(own, all), map[string]string{"Host": p.Name}) // check tells the mistakes
		return text
	}
	h := host{
		name: p.Name, ssh: p.SSH, weight: 1,
		root: fill(p.Root, c.Root), service: fill(p.Service, c.Service), health: fill(p.Health, c.Health),
	}
	if dir := supervisors[c.Supervisor]; dir != "" && h.service != "" && !path.IsAbs(h.service) {
		h.service = path.Join(dir, h.service)
	}
	var mistakes []error
	wrong := func(format string, words ...any) { mistakes = append(mistakes, fmt.Errorf(format, words...)) }
	if word(p.Name) != nil {
		wrong("%sname: %q is missing, or not one word", at, p.Name)
	}
	if strings.HasPrefix(p.SSH, "-") {
		wrong("%sssh: %q is no destination (like deploy@web1)", at, p.SSH)
	}
	if p.Weight != nil {
		h.weight = *p.Weight
	}
	if h.weight < 1 {
		wrong("%sweight: must be 1 or more", at)
	}
	if h.root == "" {
		wrong("root: missing, and %s has none either (the directory that holds releases and current, like /srv/shop)", p.Name)
	}
	if strings.HasPrefix(h.service, "-") {
		wrong("service: %q is no service (what the supervisor is to restart)", h.service)
	}
	if (h.service == "") != c.commands() {
		wrong("service: missing, and %s has none either (what the supervisor is to restart; the supervisor command has none)", p.Name)
	}
	return h, errors.Join(mistakes...)
}

// inside says whether a path stays in the directory that it is seen from.
func inside(file string) bool {
	return file != "" && file != "." && file != ".." && path.Clean(file) == file &&
		!path.IsAbs(file) && !strings.HasPrefix(file, "../") && !strings.Contains(file, "\n")
}
