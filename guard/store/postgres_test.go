//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/golive-dev/golive/plugins/plugintest"
)

// A server is a real PostgreSQL of the tests, on a socket alone.
type server struct {
	dir, bin   string
	credential *syscall.Credential // of the user postgres, where tests run as root, which PostgreSQL refuses
	databases  int
	mu         sync.Mutex
}

func newServer(config string) (*server, error) {
	initdb, err := exec.LookPath("initdb")
	if err == nil {
		initdb, err = filepath.EvalSymlinks(initdb) // the other programs lie beside the real one
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "golive-pg-") // the path of a socket may not be long
	if err != nil {
		return nil, err
	}
	p := &server{dir: dir, bin: filepath.Dir(initdb)}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr, os.Chown(dir, int(uid), int(gid))); err != nil {
			return nil, err
		}
		p.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := p.run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--pgdata="+p.data()); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(p.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(file, "\nlisten_addresses = ''\nunix_socket_directories = '%s'\nshared_buffers = 32MB\n%s\n", dir, config)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return p, p.start()
}

func (p *server) data() string { return filepath.Join(p.dir, "data") }
func (p *server) start() error {
	return p.run("pg_ctl", "start", "-w", "-D", p.data(), "-l", filepath.Join(p.dir, "log"))
}
func (p *server) stop(mode string) error {
	return p.run("pg_ctl", "stop", "-w", "-m", mode, "-D", p.data())
}

func (p *server) remove() error {
	return errors.Join(p.stop("immediate"), os.RemoveAll(p.dir))
}

// run keeps the output in a file, for a server that is started keeps it open.
func (p *server) run(program string, args ...string) error {
	output, err := os.CreateTemp("", "golive-output-")
	if err != nil {
		return err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	cmd := exec.CommandContext(context.Background(), filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), "PGHOST="+p.dir, "PGUSER=postgres")
	if p.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	}
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(output.Name())
		return fmt.Errorf("%s: %w: %s", program, err, said)
	}
	return nil
}

// database makes an empty one, and returns its address.
func (p *server) database(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	p.databases++
	name := "d" + strconv.Itoa(p.databases)
	p.mu.Unlock()
	if err := p.run("psql", "-d", "postgres", "-qc", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://postgres@/%s?host=%s", name, p.dir)
}

// shared is one server for all tests that leave it as it is.
var shared struct {
	once sync.Once
	*server
	err error
}

func needsPostgres(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("initdb"); err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		if len(found) > 0 {
			os.Setenv("PATH", strings.Join(append(found, os.Getenv("PATH")), ":"))
		}
	}
	plugintest.Needs(t, "initdb", "apt-get install postgresql-15")
}

func postgresAddress(t testing.TB) string {
	t.Helper()
	needsPostgres(t)
	shared.once.Do(func() { shared.server, shared.err = newServer("max_connections = 300") })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.database(t)
}

// ownPostgres is a server that a test may stop.
func ownPostgres(t testing.TB, config string) *server {
	t.Helper()
	needsPostgres(t)
	p, err := newServer(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.stop("immediate") // a test may have stopped it
		if err := os.RemoveAll(p.dir); err != nil {
			t.Error(err)
		}
	})
	return p
}

func init() {
	engines["postgres"] = postgresAddress
	cleanups = append(cleanups, func() error {
		if shared.server == nil {
			return nil
		}
		return shared.remove()
	})
}
