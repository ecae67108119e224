//go:build unix

package backuptest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres is a real PostgreSQL, which answers on a socket in Dir alone.
type Postgres struct {
	Dir, Data  string
	bin        string
	credential *syscall.Credential // of the user postgres, where tests run as root, which PostgreSQL refuses
}

// NewPostgres starts a PostgreSQL with these lines in its configuration, for as long as the test takes.
func NewPostgres(t testing.TB, config string) *Postgres {
	t.Helper()
	initdb := Program(t, "initdb", "postgresql-15", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
	dir, err := os.MkdirTemp("", "golive-pg-") // the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &Postgres{Dir: dir, Data: filepath.Join(dir, "data"), bin: filepath.Dir(initdb)}
	if os.Getuid() == 0 {
		p.credential = credential(t, "postgres")
		if err := os.Chown(dir, int(p.credential.Uid), int(p.credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.Run(t, "initdb", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata="+p.Data)
	file := filepath.Join(p.Data, "postgresql.conf")
	Write(t, file, []byte(string(Read(t, file))+"\nlisten_addresses = ''\nfsync = off\nunix_socket_directories = '"+dir+"'\n"+config))
	p.Run(t, "pg_ctl", "start", "-w", "-D", p.Data, "-l", filepath.Join(dir, "log"))
	t.Cleanup(func() {
		if output, err := p.Command("pg_ctl", "stop", "-w", "-m", "immediate", "-D", p.Data).CombinedOutput(); err != nil {
			t.Errorf("stop PostgreSQL: %v: %s", err, output)
		}
	})
	return p
}

func credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Command is a program of PostgreSQL, or another one, that talks to this server.
func (p *Postgres) Command(program string, args ...string) *exec.Cmd {
	if path, err := exec.LookPath(filepath.Join(p.bin, program)); err == nil {
		program = path
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), "PGHOST="+p.Dir, "PGUSER=postgres")
	if p.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	}
	return cmd
}

// Run runs a program and returns what it prints. It keeps the output in a file, which a server that was started
// may keep open.
func (p *Postgres) Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd := p.Command(program, args...)
	cmd.Stdout, cmd.Stderr = output, output
	err = cmd.Run()
	text := strings.TrimSpace(string(Read(t, output.Name())))
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, text)
	}
	return text
}

// SQL runs statements in a database.
func (p *Postgres) SQL(t testing.TB, database, statements string) string {
	t.Helper()
	return p.Run(t, "psql", "-Atq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements)
}

// Orders makes the database shop with a table of orders.
func (p *Postgres) Orders(t testing.TB, rows int) {
	t.Helper()
	p.SQL(t, "postgres", "CREATE DATABASE shop")
	p.SQL(t, "shop", "CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS what FROM generate_series(1, "+strconv.Itoa(rows)+") g")
}
