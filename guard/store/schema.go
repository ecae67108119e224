package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// An engine is in what SQLite and PostgreSQL differ, beside how they are opened.
type engine struct {
	name     string
	words    *strings.Replacer // writes the words in braces of a statement as the engine wants them
	clock    string            // asks for its time, in microseconds since 1970; empty: it has that of this machine
	writers  int               // how many goroutines write appends
	batch    func(batch []*appending) (values string, args []any)
	collided func(error) bool // nothing was changed, since another transaction was in the way
	refused  func(error) bool // nothing was changed, and a repeat would end in the same way
	notify   func(*Store)     // tells other processes what changed, until the store is closed; nil if there are none
	listen   func(*Store)     // hears what other processes changed, until the store is closed; nil if there are none
}

func (e engine) dialect(query string) string { return e.words.Replace(query) }

// migrations are the statements that lead from each version of the tables to the next. A version that was ever
// released does not change any more. Names begin with golive_, for the database may have other users.
var migrations = [][]string{
	{
		`CREATE TABLE golive_sessions (
			id     {name} NOT NULL PRIMARY KEY,
			node   TEXT   NOT NULL,
			beats  BIGINT NOT NULL,
			ttl_ms BIGINT NOT NULL
		)`,
		// done is 0 while it is open, 1 once it is over, and 2 while its rows are being taken away after they were archived.
		`CREATE TABLE golive_rollouts (
			id       {name} NOT NULL PRIMARY KEY,
			target   {name} NOT NULL,
			session  {name},
			fence    BIGINT NOT NULL,
			done     INT    NOT NULL,
			began_ns BIGINT NOT NULL
		)`,
		`CREATE UNIQUE INDEX golive_rollouts_target ON golive_rollouts (target) WHERE done = 0`,
		`CREATE INDEX golive_rollouts_open ON golive_rollouts (session, id) WHERE done = 0`,
		`CREATE INDEX golive_rollouts_fence ON golive_rollouts (target, fence)`,
		`CREATE INDEX golive_rollouts_began ON golive_rollouts (began_ns, id)`,
		// The highest fences of rollouts that were archived.
		`CREATE TABLE golive_fences (
			target {name} NOT NULL PRIMARY KEY,
			fence  BIGINT NOT NULL
		)`,
		`CREATE TABLE golive_journal (
			rollout {name} NOT NULL,
			seq     BIGINT NOT NULL,
			fence   BIGINT NOT NULL,
			at_ns   BIGINT NOT NULL,
			kind    TEXT   NOT NULL,
			data    TEXT   NOT NULL,
			hash    TEXT   NOT NULL,
			PRIMARY KEY (rollout, seq)
		)`,
		// n is there in what was told, and is given in the order of the commits: see Tell.
		`CREATE TABLE golive_inbox (
			delivery {name} NOT NULL PRIMARY KEY,
			source   TEXT   NOT NULL,
			sender   TEXT   NOT NULL,
			at_ns    BIGINT NOT NULL,
			body     {blob} NOT NULL,
			rollout  {name} NOT NULL,
			n        BIGINT,
			entry_ns BIGINT,
			kind     TEXT,
			data     TEXT
		)`,
		`CREATE UNIQUE INDEX golive_inbox_n ON golive_inbox (n) WHERE n IS NOT NULL`,
		`CREATE INDEX golive_inbox_rollout ON golive_inbox (rollout, n)`,
		`CREATE TABLE golive_counter (n BIGINT NOT NULL)`,
		`INSERT INTO golive_counter VALUES (0)`,
		`{guards}`,
	},
	{
		// What deploy tools wait for; done is 1 once it was answered.
		`CREATE TABLE golive_waits (
			id      {name} NOT NULL PRIMARY KEY,
			version BIGINT NOT NULL,
			session {name},
			body    {blob} NOT NULL,
			at_ns   BIGINT NOT NULL,
			done    INT    NOT NULL
		)`,
		`CREATE INDEX golive_waits_done ON golive_waits (done, at_ns)`,
	},
}

// guards are triggers, in which the engines have little in common. A record goes only with its whole rollout, once
// that was archived.
var guards = map[string][]string{
	"sqlite": {
		`CREATE TRIGGER golive_journal_update BEFORE UPDATE ON golive_journal
			BEGIN SELECT RAISE(ABORT, 'a record of golive is never changed'); END`,
		`CREATE TRIGGER golive_journal_delete BEFORE DELETE ON golive_journal
			WHEN NOT EXISTS (SELECT 1 FROM golive_rollouts WHERE id = OLD.rollout AND done = 2)
			BEGIN SELECT RAISE(ABORT, 'a record of golive is never removed before its rollout is archived'); END`,
	},
	"postgres": {
		`CREATE FUNCTION golive_journal_guard() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF TG_OP = 'DELETE' THEN
					IF EXISTS (SELECT 1 FROM golive_rollouts WHERE id = OLD.rollout AND done = 2) THEN
						RETURN OLD;
					END IF;
				END IF;
				RAISE EXCEPTION 'a record of golive is never changed, nor removed before its rollout is archived';
			END $$`,
		`CREATE TRIGGER golive_journal_row BEFORE UPDATE OR DELETE ON golive_journal
			FOR EACH ROW EXECUTE FUNCTION golive_journal_guard()`,
		`CREATE TRIGGER golive_journal_all BEFORE TRUNCATE ON golive_journal
			FOR EACH STATEMENT EXECUTE FUNCTION golive_journal_guard()`,
	},
}

// migrate makes the tables, or brings them to the version of this golive, in one transaction.
func (s *Store) migrate(ctx context.Context) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if lock := s.engine.dialect("{alone}"); lock != "" {
			if _, err := tx.ExecContext(ctx, lock); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS golive_schema (version INT NOT NULL)`); err != nil {
			return err
		}
		var version int
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM golive_schema`).Scan(&version); err != nil {
			return err
		}
		if version > len(migrations) {
			return fmt.Errorf("its tables have version %d, and this golive knows %d at most; start the golive that made them, or a newer one", version, len(migrations))
		}
		for ; version < len(migrations); version++ {
			for _, statement := range migrations[version] {
				steps := []string{s.engine.dialect(statement)}
				if statement == "{guards}" {
					steps = guards[s.engine.name]
				}
				for _, step := range steps {
					if _, err := tx.ExecContext(ctx, step); err != nil {
						return fmt.Errorf("make version %d of its tables: %w", version+1, err)
					}
				}
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO golive_schema (version) VALUES ($1)`, version+1); err != nil {
				return err
			}
		}
		if s.engine.name == "sqlite" {
			// One process has the file, and it is this one: whoever else had joined is dead.
			_, err := tx.ExecContext(ctx, `DELETE FROM golive_sessions`)
			return err
		}
		return nil
	})
	return err
}
