package store

import (
	"context"
	"sync"
)

// A hub tells those who subscribed in this process, and what is to be told to other processes.
type hub struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
	outside names         // for other processes
	hears   bool          // what other processes say
	wake    chan struct{} // has room for one: there is something for outside
}

// names is a set that is emptied at once.
type names map[string]struct{}

// A reader has hints that wait to be read, each rollout once.
type reader struct {
	waiting names // guarded by hub.mu
	wake    chan struct{}
}

// Subscribe returns hints: the ID of a rollout that was opened, told something, appended to, finished or released, until
// ctx is done or the store is closed; then the channel is closed. A hint says that there is news, not how many, and may be
// lost on its way from another process: look slowly without one, too.
func (s *Store) Subscribe(ctx context.Context) <-chan string {
	r := &reader{waiting: names{}, wake: make(chan struct{}, 1)}
	hints := make(chan string)
	h := &s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closing.Err() != nil {
		close(hints)
		return hints
	}
	if h.readers == nil {
		h.readers = map[*reader]struct{}{}
	}
	h.readers[r] = struct{}{}
	if s.engine.listen != nil && !h.hears {
		h.hears = true
		s.running.Go(func() { s.engine.listen(s) })
	}
	s.running.Go(func() {
		defer close(hints)
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.readers, r)
		}()
		for {
			select {
			case <-r.wake:
			case <-ctx.Done():
				return
			case <-s.closing.Done():
				return
			}
			h.mu.Lock()
			news := r.waiting
			r.waiting = names{}
			h.mu.Unlock()
			for rollout := range news {
				select {
				case hints <- rollout:
				case <-ctx.Done():
					return
				case <-s.closing.Done():
					return
				}
			}
		}
	})
	return hints
}

// hint says that a rollout has news, to this process and to others.
func (s *Store) hint(rollout string) {
	h := &s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside(rollout)
	if h.wake != nil {
		h.outside[rollout] = struct{}{}
		poke(h.wake)
	}
}

// inside tells the readers of this process. The caller has the lock.
func (h *hub) inside(rollout string) {
	for r := range h.readers {
		r.waiting[rollout] = struct{}{}
		poke(r.wake)
	}
}

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it is awake already
	}
}
