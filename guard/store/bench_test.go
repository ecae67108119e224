package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// payload is as long as what a tick has to say.
var payload = json.RawMessage(`{"verdict":"pass","why":"` + strings.Repeat("x", 250) + `"}`)

// BenchmarkAppend is how many records per second are durable, with one writer and with many, beside a loop that inserts
// rows of the same size one by one into a table without any rule.
func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		if engines[name] == nil {
			continue
		}
		b.Run(name+"/bare INSERT", func(b *testing.B) {
			s := open(b, engines[name](b))
			exec1(b, s.db, `CREATE TABLE bare (id BIGINT NOT NULL PRIMARY KEY, data TEXT NOT NULL)`)
			for i := 0; b.Loop(); i++ {
				exec1(b, s.db, `INSERT INTO bare (id, data) VALUES ($1, $2)`, i, string(payload))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
		for _, writers := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
				s := open(b, engines[name](b))
				for i := range writers {
					mustAccept(b, s, fmt.Sprint("r", i), fmt.Sprint("t", i))
				}
				x, err := s.Join(b.Context(), "a", time.Hour)
				if err != nil {
					b.Fatal(err)
				}
				leases, err := s.Claim(b.Context(), x, writers)
				if err != nil || len(leases) != writers {
					b.Fatalf("claimed %d, %v", len(leases), err)
				}
				work := make(chan struct{})
				var wg sync.WaitGroup
				for _, l := range leases {
					wg.Go(func() {
						for range work {
							if err := l.Append(noon, "measured", payload); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkClaim is a look around with nothing to claim, while others drive many rollouts.
func BenchmarkClaim(b *testing.B) {
	const open10000 = 10_000
	for _, name := range []string{"sqlite", "postgres"} {
		if engines[name] == nil {
			continue
		}
		b.Run(name, func(b *testing.B) {
			s := open(b, engines[name](b))
			for i := range open10000 {
				exec1(b, s.db, `INSERT INTO golive_rollouts (id, target, fence, done, began_ns) VALUES ($1, $1, 0, 0, 0)`, fmt.Sprint("r", i))
			}
			x, err := s.Join(b.Context(), "a", time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			if leases, err := s.Claim(b.Context(), x, 2*open10000); err != nil || len(leases) != open10000 {
				b.Fatalf("claimed %d, %v", len(leases), err)
			}
			all := time.Since(began)
			for b.Loop() {
				if leases, err := s.Claim(b.Context(), x, 1); err != nil || len(leases) != 0 {
					b.Fatalf("claimed %d, %v", len(leases), err)
				}
			}
			b.ReportMetric(all.Seconds(), "s/claim-10000")
		})
	}
}
