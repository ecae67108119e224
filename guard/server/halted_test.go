package server_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/guard/store"
)

// slow is a world whose first move of traffic goes on until it is given up.
type slow struct {
	*world
	begun chan struct{}
	ended chan error // has room for one
	first sync.Once
}

func (s *slow) Shift(ctx context.Context, o guard.Order, percent int) error {
	s.first.Do(func() {
		close(s.begun)
		<-ctx.Done()
		s.ended <- context.Cause(ctx)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.world.Shift(ctx, o, percent)
}

// TestHalted keeps a server from its store while it moves traffic: the move is given up with its session, long before its
// own time is over, since another server may guard from then on. Once the store is back, somebody goes on.
func TestHalted(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", planOf("shop", "deadline: {shift: 1h}"))
	path := filepath.Join(t.TempDir(), "golive.db")
	kept, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	s.store = kept
	stuck := &slow{world: s.world, begun: make(chan struct{}), ended: make(chan error, 1)}
	r := s.start("one", func(o *server.Options) {
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			parts, letGo, err := s.world.parts(ctx, p)
			parts.Backend = stuck
			return parts, letGo, err
		}
	})
	id := r.open("shop", "v1", "v2")
	<-stuck.begun
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lock, err := db.BeginTx(t.Context(), nil) // nobody else writes until it ends
	if err != nil {
		t.Fatal(err)
	}
	if why := <-stuck.ended; !strings.Contains(why.Error(), "own the rollout") {
		t.Errorf("the move was given up because of this: %v", why)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	r.over(id, guard.Live)
}
