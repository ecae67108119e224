// Demo tells the story of two releases, with real processes and real traffic: a shop, its customers, and
// golive between them. `make demo` runs it; it listens on 127.0.0.1 only and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = `Demo rolls out a good and a bad release of a small shop, guarded by golive.

Usage:
  demo [--golive bin/golive] [--shop bin/shop] [--report FILE] [--keep]

  --report  where the report on the rollback is left, to be opened in a browser
  --keep    leave the directory with the plan and the journals in place

Example:
  go build -o bin/ ./cmd/golive ./examples/shop && go run ./examples/demo --keep
`

const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// limit ends a demo that hangs. It usually takes a minute.
const limit = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	golive := fs.String("golive", "bin/golive", "")
	shop := fs.String("shop", "bin/shop", "")
	report := fs.String("report", "", "")
	keep := fs.Bool("keep", false, "")
	err := fs.Parse(args)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err == nil {
		err = errors.Join(find(golive), find(shop))
	}
	if err == nil && *report != "" {
		*report, err = filepath.Abs(*report)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "demo: %v\n\n%s", err, usage)
		return exitUsage
	}

	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not over after %v", limit))
	defer cancel()
	err = play(limited, teller{stdout, stderr, colourful(stdout)}, *golive, *shop, *report, *keep)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "\ndemo: interrupted; everything it started has ended")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "\ndemo: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// find makes the path of a program absolute, because golive runs in a directory of its own.
func find(program *string) error {
	path, err := filepath.Abs(*program)
	if err != nil {
		return err
	}
	*program = path
	_, err = os.Stat(path)
	return err
}

// A teller speaks to the person at the terminal.
type teller struct {
	stdout, stderr io.Writer
	colour         bool
}

// colourful says whether w is a terminal whose owner has nothing against colours.
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const (
	bold = "1"
	dim  = "2"
)

func (t teller) print(style, text string) {
	if t.colour {
		text = "\x1b[" + style + "m" + text + "\x1b[0m"
	}
	fmt.Fprintln(t.stdout, text)
}

// act opens a new part of the story.
func (t teller) act(headline, text string) {
	fmt.Fprintln(t.stdout)
	t.print(bold, headline)
	fmt.Fprintln(t.stdout, text)
}

// command shows what a user would type; its output follows.
func (t teller) command(line string) {
	fmt.Fprintln(t.stdout)
	t.print(bold, "$ "+line)
}

func (t teller) note(format string, args ...any) { t.print(dim, "# "+fmt.Sprintf(format, args...)) }
