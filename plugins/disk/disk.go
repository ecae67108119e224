// Package disk makes a probe of the room that is left on a disk of this machine.
package disk

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/golive-dev/golive/guard"
)

// Probe measures the file system in which a path lies.
type Probe struct {
	path string
	free Size        // 0: any
	used guard.Share // 0: any
}

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {path, free, used}: a directory or a file, how much has to be free for those who are not root, such
// as 20GB or 1.5TiB, and which share may be in use at most, of the bytes as of the files (inodes), such as 70%. At
// least one of the two bounds has to be there, and both hold where both are. They belong to what is good.
func NewProbe(with guard.With) (guard.Probe, error) {
	config := struct {
		Path string      `json:"path"`
		Free string      `json:"free"`
		Used guard.Share `json:"used"`
	}{}
	err := with.Decode(&config)
	if config.Path == "" {
		err = errors.Join(err, errors.New("path: missing (like /var/lib/postgresql)"))
	}
	var free Size
	if config.Free != "" {
		var mistake error
		if free, mistake = ParseSize(config.Free); mistake != nil {
			err = errors.Join(err, fmt.Errorf("free: %w", mistake))
		}
	}
	if err == nil && free == 0 && config.Used == 0 {
		err = errors.New("free, used: one of them has to be there (like free: 20GB, or used: 70%)")
	}
	if config.Used > 1 {
		err = errors.Join(err, fmt.Errorf("used: %s is more than there is", config.Used))
	}
	if err != nil {
		return nil, err
	}
	return &Probe{config.Path, free, config.Used}, nil
}

// room is what there is in a file system.
type room struct {
	used, free           Size
	usedFiles, freeFiles uint64 // both 0 where a file system has no such limit
}

// counts are what a file system says of itself.
type counts struct {
	blockBytes, blocks, free, available uint64 // available are the free blocks that are not kept for root
	files, freeFiles                    uint64
}

// room believes no numbers that cannot be. Those of files are an extra, which some file systems make up.
func (c counts) room() (room, error) {
	if c.blocks == 0 || c.blockBytes == 0 {
		return room{}, errors.New("its file system says that it has no size")
	}
	if c.free > c.blocks || c.available > c.free || c.blocks > math.MaxInt64/c.blockBytes {
		return room{}, errors.New("its file system says what cannot be")
	}
	r := room{used: Size((c.blocks - c.free) * c.blockBytes), free: Size(c.available * c.blockBytes)}
	if c.freeFiles <= c.files {
		r.usedFiles, r.freeFiles = c.files-c.freeFiles, c.freeFiles
	}
	return r, nil
}

// share is the part that is used of what can be used. What is kept for root is not counted, as df does it.
func share(used, free uint64) guard.Share {
	if used == 0 {
		return 0
	}
	return guard.Share(float64(used) / (float64(used) + float64(free)))
}

// Probe measures. A path that is not there is an error, since nobody knows which disk was meant.
func (p *Probe) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	if err := ctx.Err(); err != nil {
		return guard.Finding{}, err
	}
	r, err := measure(p.path)
	if err != nil {
		return guard.Finding{}, fmt.Errorf("measure the disk of %s: %w", p.path, err)
	}
	finding := p.judge(r)
	finding.Evidence = []guard.Evidence{{Asked: "statfs " + p.path, Answer: finding.Observed}}
	return finding, nil
}

// judge says whether there is room enough.
func (p *Probe) judge(r room) guard.Finding {
	bytes, inodes := share(uint64(r.used), uint64(r.free)), share(r.usedFiles, r.freeFiles)
	f := guard.Finding{
		Verdict:  guard.Fail,
		Subject:  p.path,
		Title:    "there is room on the disk of " + p.path,
		Observed: fmt.Sprintf("%s free, %s used", r.free, percent(bytes)),
		Remedy:   "remove what is not needed any more, or make the disk larger",
	}
	if r.usedFiles+r.freeFiles > 0 {
		f.Observed += fmt.Sprintf("; of its files (inodes) %s used", percent(inodes))
	}
	switch {
	case p.free > 0 && p.used > 0:
		f.Expected = fmt.Sprintf("at least %s free, and at most %s used", p.free, p.used)
	case p.free > 0:
		f.Expected = fmt.Sprintf("at least %s free", p.free)
	default:
		f.Expected = fmt.Sprintf("at most %s used", p.used)
	}
	switch {
	case r.free < p.free:
		f.Reason = fmt.Sprintf("%s are missing", p.free-r.free)
	case p.used > 0 && bytes > p.used:
		f.Reason = fmt.Sprintf("more than %s is used", p.used)
	case p.used > 0 && inodes > p.used:
		f.Reason = fmt.Sprintf("more than %s of its files (inodes) is used", p.used)
		f.Remedy = "remove files that are not needed any more: there are too many, however small"
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
	}
	return f
}

// percent is a share to the tenth of a percent.
func percent(s guard.Share) string { return fmt.Sprintf("%.1f%%", float64(s)*100) }
