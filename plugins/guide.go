package plugins

import _ "embed"

// Guide is README.md: how parts are written, and what set-up those take that come with golive.
//
//go:embed README.md
var Guide string
