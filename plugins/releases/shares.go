package releases

// share is the part of the whole in percent, rounded; but a little is not nothing, and almost all is not all.
func share(part, whole int) int {
	switch part {
	case 0:
		return 0
	case whole:
		return 100
	}
	return min(max((200*part+whole)/(2*whole), 1), 99)
}

// choose says how many hosts, from the first on, get the new version for a share of it, and whether any number does.
func (b *Backend) choose(percent int) (hosts int, can bool) {
	part, whole := 0, b.weight()
	for ; ; hosts++ {
		if share(part, whole) == percent {
			return hosts, true
		}
		if hosts == len(b.hosts) {
			return 0, false
		}
		part += b.hosts[hosts].weight
	}
}

// shares are those that can be had, in percent, without 0.
func (b *Backend) shares() (shares []int) {
	part, whole := 0, b.weight()
	for _, h := range b.hosts {
		part += h.weight
		if s := share(part, whole); len(shares) == 0 || shares[len(shares)-1] != s {
			shares = append(shares, s)
		}
	}
	return shares
}

// weight is that of all hosts.
func (b *Backend) weight() (whole int) {
	for _, h := range b.hosts {
		whole += h.weight
	}
	return whole
}
