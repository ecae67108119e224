package guard

import "flag"

var update = flag.Bool("update", false, "write the golden files anew")

// Update says whether golden files are to be written anew, for the tests of package guard_test.
func Update() bool { return *update }
