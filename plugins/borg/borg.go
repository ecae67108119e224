// Package borg makes a vault of a BorgBackup repository. It works with borg 1.2 and later releases of 1.
//
// borg lists the archives of a corrupt repository and calls it a success, and tells times without saying where.
// So the listing proves no more than that, and is asked for in UTC.
package borg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Vault is a borg repository, or those archives in it whose names fit a pattern.
type Vault struct {
	repository string
	pattern    string
	env        []string
	secrets    []string
	timeout    time.Duration
	scratch    string
}

var _ guard.Prover = (*Vault)(nil)

// NewVault reads {repository, passphrase, archives, env, timeout, scratch}. Without a passphrase, borg finds
// one in the environment. Archives is a pattern of names, like db-*; env holds what else borg wants, like
// BORG_RSH. Timeout bounds a listing, a minute unless said otherwise; scratch is a directory with room for a
// restore.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Repository string            `json:"repository"`
		Passphrase string            `json:"passphrase"`
		Archives   string            `json:"archives"`
		Env        map[string]string `json:"env"`
		Timeout    guard.Duration    `json:"timeout"`
		Scratch    string            `json:"scratch"`
	}{Timeout: guard.Duration(time.Minute)}
	mistakes := []error{with.Decode(&config)}
	if config.Repository == "" {
		mistakes = append(mistakes, errors.New("repository: missing (a path, or an address like ssh://HOST/PATH)"))
	}
	if config.Timeout <= 0 {
		mistakes = append(mistakes, errors.New("timeout: must be longer than nothing"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	v := &Vault{
		repository: config.Repository, pattern: config.Archives,
		timeout: config.Timeout.Std(), scratch: config.Scratch, secrets: []string{config.Passphrase},
	}
	for name, value := range config.Env {
		v.env = append(v.env, name+"="+value)
		v.secrets = append(v.secrets, value)
	}
	if config.Passphrase != "" {
		v.env = append(v.env, "BORG_PASSPHRASE="+config.Passphrase, "BORG_PASSCOMMAND=")
	}
	// Names without a zone are now in UTC, and so are times; and exit statuses are the old ones, 0, 1 and 2.
	v.env = append(v.env, "TZ=UTC", "BORG_EXIT_CODES=legacy", "BORG_REPO="+v.repository)
	return v, nil
}

// borg runs the program in a directory; "" for any. It ends with ctx, or after the timeout unless that is 0.
func (v *Vault) borg(ctx context.Context, dir string, timeout time.Duration, args ...string) (run.Output, error) {
	return run.Command{
		Program: "borg", Args: args, Dir: dir, Env: v.env, Secrets: v.secrets, Timeout: timeout, Limit: 64 << 20,
	}.Run(ctx)
}

// Backups lists the archives. Those that borg left incomplete are not among them. To tell when an archive ended,
// borg would have to read into each; so it is when it began, which makes it look older and never younger.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	args := []string{"list", "--json"}
	if v.pattern != "" {
		args = append(args, "--glob-archives="+v.pattern)
	}
	output, err := v.borg(ctx, "", v.timeout, args...)
	if err != nil {
		return nil, fmt.Errorf("borg list: %w", err)
	}
	return parse(output.Answer)
}

func parse(answer []byte) ([]guard.Backup, error) {
	var list struct {
		Archives *[]struct {
			Name string `json:"name"`
			Time string `json:"time"` // when it began
		} `json:"archives"`
	}
	if err := json.Unmarshal(answer, &list); err != nil || list.Archives == nil {
		return nil, fmt.Errorf("borg list printed %.200q, which is no list of archives", answer)
	}
	var backups []guard.Backup
	for _, a := range *list.Archives {
		began, err := parseTime(a.Time)
		if err != nil || a.Name == "" {
			return nil, fmt.Errorf("borg list printed the archive %q, which began at %q", a.Name, a.Time)
		}
		backups = append(backups, guard.Backup{ID: a.Name, Ended: began})
	}
	return backups, nil
}

// parseTime takes a time with a zone as it is. One without is in UTC, since we told borg to be there.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	return time.Parse("2006-01-02T15:04:05", text)
}

// Prove checks the repository, which reads all of its segments; verifies its data, which also deciphers it; and
// extracts the newest archive. It never repairs anything.
func (v *Vault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	return guard.Climb(ctx, v, want, []guard.Ascent{
		{To: guard.RungChecked, Take: v.check("no problems found", "check", "--verbose")},
		{To: guard.RungRead, Take: v.check("with 0 integrity errors", "check", "--verbose", "--verify-data")},
		{To: guard.RungRestored, Take: v.extract},
	})
}

// judge tells a broken repository from one that could not be asked.
func judge(output run.Output, err error) (flaw string, _ error) {
	var no *exec.ExitError
	if errors.As(err, &no) && output.Says("data integrity error", "errors found", "index object count mismatch", "integrity errors", "missing") &&
		!output.Trouble() && !output.Says("failed to create/acquire the lock") {
		return "the repository is damaged: " + output.Story, nil
	}
	return "", err
}

// check runs a check, and wants it to say in words that all is well.
func (v *Vault) check(well string, args ...string) func(context.Context, guard.Backup) (guard.Evidence, string, error) {
	asked := "borg " + strings.Join(args, " ")
	return func(ctx context.Context, _ guard.Backup) (guard.Evidence, string, error) {
		output, err := v.borg(ctx, "", 0, args...)
		flaw, err := judge(output, err)
		switch {
		case err != nil:
			return guard.Evidence{}, "", fmt.Errorf("%s: %w", asked, err)
		case flaw == "" && !output.Says(well):
			return guard.Evidence{}, "", fmt.Errorf("%s ended well, but does not say %q: %s", asked, well, output.Story)
		}
		return output.Evidence(asked), flaw, nil
	}
}

// extract extracts into a scratch directory, and counts the bytes that have arrived.
func (v *Vault) extract(ctx context.Context, b guard.Backup) (_ guard.Evidence, _ string, err error) {
	output, err := v.borg(ctx, "", v.timeout, "info", "--json", "::"+b.ID)
	if err != nil {
		return guard.Evidence{}, "", fmt.Errorf("borg info: %w", err)
	}
	var info struct {
		Archives []struct {
			Stats struct {
				Bytes *int64 `json:"original_size"`
			} `json:"stats"`
		} `json:"archives"`
	}
	if err := json.Unmarshal(output.Answer, &info); err != nil || len(info.Archives) != 1 || info.Archives[0].Stats.Bytes == nil {
		return guard.Evidence{}, "", fmt.Errorf("borg info printed %.200q, which has no original_size of one archive", output.Answer)
	}
	want := *info.Archives[0].Stats.Bytes

	dir, remove, err := files.Scratch(v.scratch)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	output, err = v.borg(ctx, dir, 0, "extract", "::"+b.ID)
	if flaw, err := judge(output, err); err != nil || flaw != "" {
		return output.Evidence("borg extract"), flaw, err
	}
	count, bytes, err := files.Measure(dir)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	seen := guard.Evidence{Asked: "borg extract", Answer: fmt.Sprintf("%d files of %d bytes arrived, of %d bytes", count, bytes, want)}
	switch {
	case bytes < want:
		return seen, fmt.Sprintf("borg extracted %d bytes, and the archive has %d", bytes, want), nil
	case count == 0 || bytes == 0: // what agrees with nothing brings nothing back
		return seen, "the archive is empty: no data was extracted", nil
	}
	return seen, "", nil
}
