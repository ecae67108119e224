package main

import (
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

func (p *program) hooks(guard.Desk) []server.Hook { return nil }
