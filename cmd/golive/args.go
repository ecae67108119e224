package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nameArguments has a command, and those below it, name the argument that is missing or too much, where cobra only
// counts. What an argument is called stands in the command's line of use.
func nameArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		nameArguments(sub)
	}
	count := c.Args
	if count == nil || c.HasSubCommands() {
		return // cobra names the subcommand that it does not know
	}
	c.Args = func(c *cobra.Command, given []string) error {
		err := count(c, given)
		wanted := arguments(c.Use)
		switch {
		case err == nil:
			return nil
		case len(given) < len(wanted):
			example, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
			return fmt.Errorf("%s is missing, as in: %s", strings.Join(wanted[len(given):], " and "), example)
		}
		return fmt.Errorf("%q is an argument too many: %s", given[len(given)-1], c.UseLine())
	}
}

// arguments are the names of those that a line of use demands: neither what stands in brackets, nor flags and their
// values. What may be repeated loses its dots.
func arguments(use string) (names []string) {
	optional := false
	words := strings.Fields(use)[1:]
	for i, word := range words {
		opens := strings.HasPrefix(word, "[")
		flag := strings.HasPrefix(word, "--") || i > 0 && strings.HasPrefix(words[i-1], "--")
		if !optional && !opens && !flag {
			names = append(names, strings.TrimSuffix(word, "..."))
		}
		optional = (optional || opens) && !strings.Contains(word, "]")
	}
	return names
}

// flagError says what a flag wants where its value is no number and no time span, which the library tells in words of Go.
func flagError(_ *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err
	}
	wants := ""
	switch value.GetFlag().Value.Type() {
	case "int", "uint64":
		wants = "this is no whole number (say one such as 3)"
	case "duration":
		wants = "this is no time span (say one such as 90s or 10m)"
	default:
		return err
	}
	return fmt.Errorf("--%s %q: %s", value.GetFlag().Name, value.GetValue(), wants)
}
