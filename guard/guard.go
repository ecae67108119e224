// Package guard decides: what a plan says, what a finding means, and what happens next in a rollout. It is
// pure – no clock, no file, no network – so that every decision is a function of a history, and can be
// explained and replayed from it.
//
// This page is the map of the project. guard decides, engine does, journal remembers, parts look or act, cmd
// wires:
//
//	guard           the nouns and contracts (Plan, Part, Finding, Fact) and the machine (Next)
//	guard/judge     counts in, verdict out: the statistics
//	guard/engine    runs the tasks that Next asks for, and writes down what came of them
//	guard/journal   keeps what was written down, a file for each rollout
//	guard/evidence  keeps what was collected before going back
//	guard/store     keeps the same for many rollouts and servers, and says who may act
//	guard/server    guards many rollouts, heard from deploy tools and seen by people
//	guard/report    says what happened, for people and for other programs
//	checks          the questions that a release has to answer before its launch
//	plugins         the bridge to programs that bring parts of their own; below it one package per technology
//	cmd/golive      the program
//
// To follow a rollout, read fact.go (what can happen), task.go (what can be asked for) and rollout.go (Next,
// which turns the one into the other); retreat.go is its way back.
package guard
