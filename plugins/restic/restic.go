// Package restic makes a vault of a restic repository. It works with restic 0.14 and later.
//
// restic lists snapshots whose data is gone, and its check passes over flipped bytes unless it reads all data.
// So the listing proves no more than that, and each rung above it is work of its own.
package restic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Vault is a restic repository, or those snapshots in it that fit a filter.
type Vault struct {
	filter  []string // arguments
	env     []string
	secrets []string
	timeout time.Duration
	scratch string
}

var _ guard.Prover = (*Vault)(nil)

// NewVault reads {repository, password, password_file, host, tags, paths, env, timeout, scratch}. Without a
// password, restic finds one in the environment. Host, tags and paths choose snapshots as they do for restic;
// env holds what the place of the repository wants, like AWS_ACCESS_KEY_ID. Timeout bounds a listing, a minute
// unless said otherwise; scratch is a directory with room for a restore.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Repository   string            `json:"repository"`
		Password     string            `json:"password"`
		PasswordFile string            `json:"password_file"`
		Host         string            `json:"host"`
		Tags         []string          `json:"tags"`
		Paths        []string          `json:"paths"`
		Env          map[string]string `json:"env"`
		Timeout      guard.Duration    `json:"timeout"`
		Scratch      string            `json:"scratch"`
	}{Timeout: guard.Duration(time.Minute)}
	mistakes := []error{with.Decode(&config)}
	if config.Repository == "" {
		mistakes = append(mistakes, errors.New("repository: missing (a path, or an address like s3:HOST/BUCKET)"))
	}
	if config.Password != "" && config.PasswordFile != "" {
		mistakes = append(mistakes, errors.New("password_file: there is a password too (keep one of them)"))
	}
	if config.Timeout <= 0 {
		mistakes = append(mistakes, errors.New("timeout: must be longer than nothing"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}

	v := &Vault{timeout: config.Timeout.Std(), scratch: config.Scratch, secrets: []string{config.Password}}
	for name, value := range config.Env {
		v.env = append(v.env, name+"="+value)
		v.secrets = append(v.secrets, value)
	}
	v.env = append(v.env, "RESTIC_REPOSITORY="+config.Repository, "RESTIC_REPOSITORY_FILE=", "RESTIC_PROGRESS_FPS=0")
	switch {
	case config.Password != "":
		v.env = append(v.env, "RESTIC_PASSWORD="+config.Password, "RESTIC_PASSWORD_FILE=", "RESTIC_PASSWORD_COMMAND=")
	case config.PasswordFile != "":
		v.env = append(v.env, "RESTIC_PASSWORD_FILE="+config.PasswordFile, "RESTIC_PASSWORD_COMMAND=")
	}
	if config.Host != "" {
		v.filter = append(v.filter, "--host="+config.Host)
	}
	if len(config.Tags) > 0 {
		v.filter = append(v.filter, "--tag="+strings.Join(config.Tags, ",")) // all of them
	}
	for _, path := range config.Paths {
		v.filter = append(v.filter, "--path="+path)
	}
	return v, nil
}

// restic runs the program. It ends with ctx, or after the timeout unless that is 0.
func (v *Vault) restic(ctx context.Context, timeout time.Duration, args ...string) (run.Output, error) {
	return run.Command{
		Program: "restic", Args: args, Env: v.env, Secrets: v.secrets, Timeout: timeout, Limit: 64 << 20,
	}.Run(ctx)
}

// A snapshot is what restic tells of one. Releases since 0.17 have a summary.
type snapshot struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"` // when it began
	Summary struct {
		End   time.Time `json:"backup_end"`
		Bytes int64     `json:"total_bytes_processed"`
	} `json:"summary"`
}

// Backups lists the snapshots, without a lock: it has to work beside a backup that is under way. Where restic
// does not tell when a snapshot ended, it is when it began, which makes it look older and never younger.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	output, err := v.restic(ctx, v.timeout, append([]string{"snapshots", "--json", "--no-lock"}, v.filter...)...)
	if err != nil {
		return nil, fmt.Errorf("restic snapshots: %w", err)
	}
	return parse(output.Answer)
}

func parse(answer []byte) ([]guard.Backup, error) {
	var snapshots []snapshot
	if err := json.Unmarshal(answer, &snapshots); err != nil {
		return nil, fmt.Errorf("restic snapshots printed %.200q, which is no list of snapshots: %w", answer, err)
	}
	var backups []guard.Backup
	for _, s := range snapshots {
		if s.ID == "" || s.Time.IsZero() {
			return nil, fmt.Errorf("restic snapshots printed a snapshot without id or time: %.200q", answer)
		}
		b := guard.Backup{ID: s.ID, Ended: s.Time, Bytes: s.Summary.Bytes}
		if !s.Summary.End.IsZero() {
			b.Ended = s.Summary.End
		}
		backups = append(backups, b)
	}
	return backups, nil
}

// Prove checks the repository, reads all of its data, and restores the newest snapshot. restic locks the
// repository while it checks; what another lock keeps from being checked is not known.
func (v *Vault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	return guard.Climb(ctx, v, want, []guard.Ascent{
		{To: guard.RungChecked, Take: v.check("check")},
		{To: guard.RungRead, Take: v.check("check", "--read-data")},
		{To: guard.RungRestored, Take: v.restore},
	})
}

// damage is how restic says that the fault lies with the repository. Exit status 1 alone may be anything.
var damage = []string{"repository contains errors", "LoadIndex returned errors", "ciphertext verification failed", "invalid data returned", "there were"}

// judge tells a broken repository from one that could not be asked.
func judge(output run.Output, err error) (flaw string, _ error) {
	var no *exec.ExitError
	if errors.As(err, &no) && output.Says(damage...) && !output.Trouble() {
		return "the repository is damaged: " + output.Story, nil
	}
	return "", err
}

func (v *Vault) check(args ...string) func(context.Context, guard.Backup) (guard.Evidence, string, error) {
	asked := "restic " + strings.Join(args, " ")
	return func(ctx context.Context, _ guard.Backup) (guard.Evidence, string, error) {
		output, err := v.restic(ctx, 0, args...)
		flaw, err := judge(output, err)
		switch {
		case err != nil:
			return guard.Evidence{}, "", fmt.Errorf("%s: %w", asked, err)
		case flaw == "" && !output.Says("no errors were found"):
			return guard.Evidence{}, "", fmt.Errorf("%s ended well, but does not say that no errors were found: %s", asked, output.Story)
		case flaw == "" && slices.Contains(args, "--read-data") && !output.Says("read all data"):
			return guard.Evidence{}, "", fmt.Errorf("%s ended well, but does not say that it read all data: %s", asked, output.Story)
		}
		return output.Evidence(asked), flaw, nil
	}
}

// restore restores into a scratch directory, has restic read it back, and counts the bytes that have arrived.
// It uses no cache: what is in the cache may be missing from the repository.
func (v *Vault) restore(ctx context.Context, b guard.Backup) (_ guard.Evidence, _ string, err error) {
	output, err := v.restic(ctx, v.timeout, "stats", "--json", "--no-lock", "--mode=restore-size", b.ID)
	if err != nil {
		return guard.Evidence{}, "", fmt.Errorf("restic stats: %w", err)
	}
	var stats struct {
		Bytes *int64 `json:"total_size"`
	}
	if err := json.Unmarshal(output.Answer, &stats); err != nil || stats.Bytes == nil {
		return guard.Evidence{}, "", fmt.Errorf("restic stats printed %.200q, which has no total_size", output.Answer)
	}

	dir, remove, err := files.Scratch(v.scratch)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	output, err = v.restic(ctx, 0, "restore", "--no-cache", "--verify", "--target="+dir, b.ID)
	if flaw, err := judge(output, err); err != nil || flaw != "" {
		return output.Evidence("restic restore"), flaw, err
	}
	count, bytes, err := files.Measure(dir)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	seen := guard.Evidence{Asked: "restic restore --verify", Answer: fmt.Sprintf("%d files of %d bytes arrived, of %d bytes", count, bytes, *stats.Bytes)}
	switch {
	case bytes != *stats.Bytes:
		return seen, fmt.Sprintf("restic restored %d bytes, and the snapshot has %d", bytes, *stats.Bytes), nil
	case count == 0 || bytes == 0: // what agrees with nothing brings nothing back
		return seen, "the snapshot is empty: no data was restored", nil
	}
	return seen, "", nil
}
