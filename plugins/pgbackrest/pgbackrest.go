// Package pgbackrest makes a vault of a pgBackRest stanza. It works with pgBackRest 2.45 and later.
//
// pgBackRest's verify may end with success on a corrupt backup, and its check looks at archiving alone. So what
// verify says is read, line by line, and its exit status only has to be no worse.
package pgbackrest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Vault is a stanza.
type Vault struct {
	stanza  string
	args    []string // that every command gets
	env     []string
	secrets []string
	timeout time.Duration
	scratch string
}

var _ guard.Prover = (*Vault)(nil)

// NewVault reads {stanza, config, repo, env, timeout, scratch}. Config is the file of pgBackRest's options, and
// repo the number of the repository, where they are not the usual ones; env holds options that are secret, like
// PGBACKREST_REPO1_CIPHER_PASS. Timeout bounds a listing, a minute unless said otherwise; scratch is a directory
// with room for a restore.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Stanza  string            `json:"stanza"`
		Config  string            `json:"config"`
		Repo    int               `json:"repo"`
		Env     map[string]string `json:"env"`
		Timeout guard.Duration    `json:"timeout"`
		Scratch string            `json:"scratch"`
	}{Timeout: guard.Duration(time.Minute)}
	mistakes := []error{with.Decode(&config)}
	if config.Stanza == "" {
		mistakes = append(mistakes, errors.New("stanza: missing (pgbackrest info lists them)"))
	}
	if config.Repo < 0 {
		mistakes = append(mistakes, errors.New("repo: must be the number of a repository, from 1"))
	}
	if config.Timeout <= 0 {
		mistakes = append(mistakes, errors.New("timeout: must be longer than nothing"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	v := &Vault{
		stanza: config.Stanza, timeout: config.Timeout.Std(), scratch: config.Scratch,
		args: []string{"--stanza=" + config.Stanza, "--log-level-file=off", "--log-level-console=warn"},
	}
	if config.Config != "" {
		v.args = append(v.args, "--config="+config.Config)
	}
	if config.Repo > 0 {
		v.args = append(v.args, "--repo="+strconv.Itoa(config.Repo))
	}
	for name, value := range config.Env {
		v.env = append(v.env, name+"="+value)
		v.secrets = append(v.secrets, value)
	}
	return v, nil
}

// pgbackrest runs the program. It ends with ctx, or after the timeout unless that is 0.
func (v *Vault) pgbackrest(ctx context.Context, timeout time.Duration, args ...string) (run.Output, error) {
	return run.Command{
		Program: "pgbackrest", Args: append(args, v.args...), Env: v.env, Secrets: v.secrets, Timeout: timeout, Limit: 64 << 20,
	}.Run(ctx)
}

// An entry is what pgBackRest tells of a stanza.
type entry struct {
	Name   string `json:"name"`
	Status *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Backups []struct {
		Label string `json:"label"`
		Error *bool  `json:"error"` // pages with wrong checksums; nil: not looked at
		Info  struct {
			Bytes int64 `json:"size"`
		} `json:"info"`
		Timestamp struct {
			Stop int64 `json:"stop"` // seconds since 1970
		} `json:"timestamp"`
	} `json:"backup"`
}

// The statuses of a stanza that are an answer. Any other says that something keeps pgBackRest from telling.
const (
	statusOK        = 0
	statusNoBackups = 2
)

// Backups lists the backups that are complete. Those in which pgBackRest found damaged pages do not count.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	output, err := v.pgbackrest(ctx, v.timeout, "info", "--output=json")
	if err != nil {
		return nil, fmt.Errorf("pgbackrest info: %w", err)
	}
	return parse(output.Answer, v.stanza)
}

func parse(answer []byte, stanza string) ([]guard.Backup, error) {
	var entries []entry
	if err := json.Unmarshal(answer, &entries); err != nil {
		return nil, fmt.Errorf("pgbackrest info printed %.200q, which is no list of stanzas: %w", answer, err)
	}
	if len(entries) != 1 || entries[0].Name != stanza || entries[0].Status == nil {
		return nil, fmt.Errorf("pgbackrest info printed %.200q, which does not tell of the stanza %s alone", answer, stanza)
	}
	if status := entries[0].Status; status.Code != statusOK && status.Code != statusNoBackups {
		return nil, fmt.Errorf("pgbackrest info: the stanza %s has the status %d: %s", stanza, status.Code, status.Message)
	}
	var backups []guard.Backup
	for _, b := range entries[0].Backups {
		switch {
		case b.Error != nil && *b.Error:
			continue
		case b.Label == "" || b.Timestamp.Stop <= 0:
			return nil, fmt.Errorf("pgbackrest info printed a backup %q that has no label or no end", b.Label)
		}
		backups = append(backups, guard.Backup{ID: b.Label, Ended: time.Unix(b.Timestamp.Stop, 0).UTC(), Bytes: b.Info.Bytes})
	}
	return backups, nil
}

// Prove has pgBackRest read all backups and the archive, and restores the newest backup. pgBackRest has no cheaper
// look at the structure alone.
func (v *Vault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	return guard.Climb(ctx, v, want, []guard.Ascent{
		{To: guard.RungRead, Take: v.verify},
		{To: guard.RungRestored, Take: v.restore},
	})
}

func (v *Vault) verify(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
	output, err := v.pgbackrest(ctx, 0, "verify", "--output=text", "--verbose")
	seen := output.Evidence("pgbackrest verify")
	flaw, known := judge(output.Answer, v.stanza, b.ID)
	var no *exec.ExitError
	switch {
	case known && flaw != "" && (err == nil || errors.As(err, &no)):
		return seen, flaw, nil
	case err != nil:
		return seen, "", fmt.Errorf("pgbackrest verify: %w", err)
	case !known:
		return seen, "", fmt.Errorf("pgbackrest verify ended well, but does not say that backup %s is valid: %s", b.ID, output.Story)
	}
	return seen, "", nil
}

// judge reads what verify says of a stanza and of one of its backups. It is known only if both are told of: a
// report that is cut off, or is about something else, says nothing.
func judge(report []byte, stanza, backup string) (flaw string, known bool) {
	var ofStanza, status, ofBackup bool
	for lines := bufio.NewScanner(bytes.NewReader(report)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "stanza: "+stanza:
			ofStanza = true
		case strings.HasPrefix(line, "status: "):
			status = true
			if line != "status: ok" && flaw == "" {
				flaw = "pgbackrest verify says " + line
			}
		case strings.HasPrefix(line, "backup: "):
			name, told, _ := strings.Cut(strings.TrimPrefix(line, "backup: "), ", ")
			switch verdict, _, _ := strings.Cut(told, ","); verdict {
			case "status: valid":
				ofBackup = ofBackup || name == backup
			case "status: in-progress": // another one, which is not complete yet
			default:
				flaw = "pgbackrest verify says of backup " + name + ": " + told
			}
		case flaw != "" && strings.HasPrefix(line, "missing: ") && line != "missing: 0, checksum invalid: 0, size invalid: 0, other: 0":
			flaw += "; " + line
		}
	}
	return flaw, ofStanza && status && (ofBackup || flaw != "")
}

// restore restores the data directory below a scratch directory, tablespaces included, and counts the bytes that
// have arrived. Options that could turn it against the real one are overruled.
func (v *Vault) restore(ctx context.Context, b guard.Backup) (_ guard.Evidence, _ string, err error) {
	dir, remove, err := files.Scratch(v.scratch)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return guard.Evidence{}, "", err
	}
	output, err := v.pgbackrest(ctx, 0, "restore", "--set="+b.ID, "--type=default", "--no-delta", "--archive-mode=off",
		"--pg1-path="+data, "--tablespace-map-all="+filepath.Join(dir, "tablespaces"))
	seen := output.Evidence("pgbackrest restore")
	var no *exec.ExitError
	if errors.As(err, &no) && damaged[no.ExitCode()] && !output.Trouble() {
		return seen, "pgbackrest cannot restore it: " + output.Story, nil
	}
	if err != nil {
		return seen, "", fmt.Errorf("pgbackrest restore: %w", err)
	}
	count, bytes, err := files.Measure(dir)
	if err != nil {
		return seen, "", err
	}
	seen.Answer = fmt.Sprintf("%d files of %d bytes arrived, of %d bytes", count, bytes, b.Bytes)
	switch {
	case bytes < b.Bytes: // the files that tell PostgreSQL to recover come on top
		return seen, fmt.Sprintf("pgbackrest restored %d bytes, and the backup has %d", bytes, b.Bytes), nil
	case count == 0 || bytes == 0: // what agrees with nothing brings nothing back
		return seen, "the backup is empty: no data was restored", nil
	}
	return seen, "", nil
}

// damaged are the exit statuses with which pgBackRest says that files of a backup are not what they should be:
// wrong checksum, wrong format, missing file, and no end of what is enciphered.
var damaged = map[int]bool{26: true, 29: true, 55: true, 95: true}
