package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Lend is Accept for a rollout that a session owns from its first record on: it is never nobody's, and no other session
// claims it for as long as this one lives. The lease is nil where the delivery is a repeat, and its rollout is over or has
// another owner by now; a repeat by the owner gets the lease again. Errors are those of Accept, and ErrLapsed if the
// session is over, which keeps nothing.
func (s *Store) Lend(ctx context.Context, d Delivery, o Opening, x *Session) (lease *Lease, rollout string, err error) {
	if err := d.check(); err != nil {
		return nil, "", fmt.Errorf("accept a delivery: %w", err)
	}
	records, err := o.seal()
	if err != nil {
		return nil, "", fmt.Errorf("accept delivery %s: %w", d.ID, err)
	}
	if !x.Valid() {
		return nil, "", fmt.Errorf("accept delivery %s for %s: %w; join anew", d.ID, x.node, ErrLapsed)
	}
	var owner sql.NullString
	var l Lease
	err = s.transact(ctx, func(tx *sql.Tx) error {
		var dup bool
		rollout, dup, err = keep(ctx, tx, d, o.Rollout, nil, nil)
		if err != nil {
			return err
		}
		if !dup {
			if err := s.open(ctx, tx, o, records); err != nil {
				return err
			}
			if err := x.own(ctx, tx, o); err != nil {
				return err
			}
		}
		l = Lease{Rollout: rollout, session: x}
		return tx.QueryRowContext(ctx, `SELECT target, fence, CASE WHEN done = 0 THEN session END FROM golive_rollouts WHERE id = $1`, rollout).
			Scan(&l.Target, &l.Fence, &owner)
	})
	if err != nil {
		return nil, "", fmt.Errorf("accept delivery %s: %w", d.ID, err)
	}
	s.hint(rollout)
	if owner.String != x.id {
		return nil, rollout, nil
	}
	x.mu.Lock()
	lease = x.leases[rollout]
	x.mu.Unlock()
	if lease != nil {
		return lease, rollout, nil
	}
	if err := x.heads(ctx, []*Lease{&l}); err != nil {
		return nil, "", fmt.Errorf("accept delivery %s: %w", d.ID, s.explain(err))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.leases[rollout] = &l
	return &l, rollout, nil
}

// own makes the session the owner of a rollout that the transaction has opened, under a fence as a claim would give.
func (x *Session) own(ctx context.Context, tx *sql.Tx, o Opening) error {
	result, err := tx.ExecContext(ctx, `
		UPDATE golive_rollouts SET session = $1, fence = (
			SELECT MAX(f.fence) FROM (
				SELECT CAST($2 AS BIGINT) AS fence
				UNION ALL SELECT MAX(t.fence) + 1 FROM golive_rollouts t WHERE t.target = golive_rollouts.target
				UNION ALL SELECT a.fence + 1 FROM golive_fences a WHERE a.target = golive_rollouts.target
			) f
		)
		WHERE id = $3 AND EXISTS (SELECT 1 FROM golive_sessions s WHERE s.id = $1)`, x.id, time.Now().UnixMilli(), o.Rollout)
	if err != nil {
		return err
	}
	if owned, err := result.RowsAffected(); err != nil {
		return err
	} else if owned == 0 {
		return fmt.Errorf("the session of %s: %w; join anew", x.node, ErrLapsed)
	}
	return nil
}
