// Package stdout makes a notifier that writes for the people who are looking on.
package stdout

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Notifier writes notices, one after the other.
type Notifier struct {
	mu sync.Mutex
	w  io.Writer
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier returns the maker of notifiers that write to w. There is nothing to set up.
func NewNotifier(w io.Writer) func(guard.With) (guard.Notifier, error) {
	n := &Notifier{w: w}
	return func(with guard.With) (guard.Notifier, error) {
		if err := with.Decode(&struct{}{}); err != nil {
			return nil, err
		}
		return n, nil
	}
}

// Notify writes a title with its time and, indented below it, the text.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return guard.Receipt{}, err
	}
	var b strings.Builder
	mark, whom := "", ""
	if notice.Urgent {
		mark = "URGENT: "
	}
	if len(notice.Roles) > 0 {
		whom = " (for " + guard.Line(strings.Join(notice.Roles, ", "), 200) + ")"
	}
	fmt.Fprintf(&b, "%s  %s%s%s\n", notice.At.Format(time.TimeOnly), mark, strings.ReplaceAll(guard.Printable(notice.Title), "\n", " "), whom)
	for line := range strings.Lines(guard.Printable(notice.Text)) {
		fmt.Fprintf(&b, "          %s\n", strings.TrimRight(line, "\n"))
	}
	if notice.Reply != "" {
		fmt.Fprintf(&b, "          %s\n", guard.Line(notice.Reply, 2000))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := io.WriteString(n.w, b.String()); err != nil {
		return guard.Receipt{}, fmt.Errorf("write the notice: %w", err)
	}
	return guard.Receipt{}, nil
}
