package files

import "io/fs"

// Windows does not tell in a listing which names are of one file.
type identity struct{}

func identify(fs.FileInfo) (identity, bool) { return identity{}, false }
