package guard

// A Store is data that must survive.
type Store struct {
	Name       string         `json:"name"`
	Critical   bool           `json:"critical,omitempty"`
	Backups    []BackupSource `json:"backups,omitempty"`
	Restore    *Restore       `json:"restore,omitempty"`
	Migrations string         `json:"migrations,omitempty" oneof:"reversible expand_contract irreversible"`
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
