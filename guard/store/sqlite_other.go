//go:build !linux

package store

import "time"

// networkFileSystem cannot tell here.
func networkFileSystem(string) (string, error) { return "", nil }

var started = time.Now()

// elapsed is the time since the program started, on the monotonic clock. Where that stops while the machine sleeps, a
// process that wakes up takes its session for valid until the next beat tells it otherwise; the fence holds.
func elapsed() time.Duration { return time.Since(started) }
