//go:build !linux && !darwin

package disk

import (
	"fmt"
	"runtime"
)

func measure(string) (room, error) {
	return room{}, fmt.Errorf("on %s there is no way to find out (use a probe of the part command)", runtime.GOOS)
}
