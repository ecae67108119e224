package disk

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// A Size is a number of bytes. It is written with a unit, of a thousand as in 20GB or of 1024 as in 20GiB.
type Size uint64

var sizeShape = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)$`)

var units = map[string]float64{
	"B":  1,
	"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50,
}

// ParseSize reads "20GB", "1.5 TiB" and the like. Nothing is no size.
func ParseSize(text string) (Size, error) {
	match := sizeShape.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("%q is not a size (try 20GB, 500MB, 1.5TiB)", text)
	}
	unit, known := units[match[2]]
	number, err := strconv.ParseFloat(match[1], 64)
	bytes := math.Round(number * unit)
	if !known || err != nil || bytes < 1 || bytes >= 1<<63 {
		return 0, fmt.Errorf("%q is not a size (try 20GB, 500MB, 1.5TiB)", text)
	}
	return Size(bytes), nil
}

// String has three digits that count: "1.23GB".
func (s Size) String() string {
	names, n, i := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}, float64(s), 0
	for n >= 999.5 && i < len(names)-1 {
		n, i = n/1000, i+1
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 3, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64) + names[i]
}
