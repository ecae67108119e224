package guard

// A Store is data that must survive.
type Store struct {
	Name        string         `json:"name"`
	Kind        string         `json:"kind,omitempty" oneof:"data config app"`
	Critical    bool           `json:"critical,omitempty"`
	Owner       string         `json:"owner,omitempty"`     // who answers for its backups
	Schedule    Duration       `json:"schedule,omitempty"`  // how often it is backed up
	Retention   Duration       `json:"retention,omitempty"` // for how long backups are kept
	Assurance   Rung           `json:"assurance,omitzero"`  // how far up the ladder its backups have to be proven
	Backups     []BackupSource `json:"backups,omitempty"`
	Restore     *Restore       `json:"restore,omitempty"`
	Migrations  string         `json:"migrations,omitempty" oneof:"reversible expand_contract irreversible"` // what the release does to its structure
	ForwardOnly string         `json:"forward_only,omitempty"`                                               // what is done in place of going back, after a migration that cannot be undone
}

// A BackupSource is a vault that keeps backups of a store.
type BackupSource struct {
	Part
	Medium  string   `json:"medium,omitempty"`
	Offsite bool     `json:"offsite,omitempty"`
	MaxAge  Duration `json:"max_age,omitempty"` // how old the newest backup may be; default 1d
}

// Restore is how a store comes back, and how long that takes.
type Restore struct {
	Part
	Expected Duration `json:"expected,omitempty"`
}
