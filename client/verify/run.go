package verify

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how a run is made. The zero value runs everything.
type Options struct {
	// Only chooses scenarios; nil means all.
	Only func(Scenario) bool
	// Parallel is how many scenarios run at a time; 0 means 8.
	Parallel int
	// Slack multiplies every bound of a promise about time; 0 means 1. It is for tests on machines that are busy with
	// other things.
	Slack float64
	// Each is called with every result as it comes, one at a time; nil is allowed.
	Each func(Result)
}

// Run runs the scenarios, and returns when all have run and cleaned up. If ctx ends, those that have not run fail.
func (s *System) Run(ctx context.Context, opt Options) *Report {
	opt.Parallel = cmp.Or(opt.Parallel, defaultParallel)
	opt.Slack = cmp.Or(opt.Slack, 1)
	began := time.Now()
	report := &Report{Run: runID(), Left: []string{}, Unreached: []Unreached{}}
	for _, p := range parts() {
		for _, d := range s.doors[p] {
			if d.gone != nil {
				report.Unreached = append(report.Unreached, Unreached{Part: p, Address: d.addr, Reason: d.gone.Error()})
			}
		}
	}
	jobs := s.plan(opt, report)
	// What waits for others (events, search) begins first; the rest fills the gaps.
	slices.SortStableFunc(jobs, func(a, b job) int { return waits(b.scenario) - waits(a.scenario) })

	var mu sync.Mutex // guards Each and Left
	queue := make(chan int)
	var workers sync.WaitGroup
	for range opt.Parallel {
		workers.Go(func() {
			for i := range queue {
				j := jobs[i]
				t := &trial{core: &core{sys: s, run: report.Run, id: fmt.Sprintf("verify-%s-%d", report.Run, i), job: j, slack: opt.Slack}}
				t.judge(ctx)
				mu.Lock()
				report.Left = append(report.Left, t.left...)
				if opt.Each != nil {
					opt.Each(*j.result)
				}
				mu.Unlock()
			}
		})
	}
	for i := range jobs {
		queue <- i
	}
	close(queue)
	workers.Wait()
	report.Took = time.Since(began)
	return report
}

// waits orders scenarios by how much of their time is waiting.
func waits(s Scenario) int {
	switch {
	case s.Area == AreaEvents:
		return 2
	case len(s.Needs) > 0 || strings.Contains(s.Promise, "within"):
		return 1
	}
	return 0
}

// plan makes the report's results, and returns those that can run.
func (s *System) plan(opt Options, report *Report) []job {
	type wanted struct {
		scenario Scenario
		door     *door
		index    int
	}
	var list []wanted
	for _, scenario := range Scenarios() {
		if opt.Only != nil && !opt.Only(scenario) {
			continue
		}
		doors := s.doors[scenario.Door]
		if len(doors) == 0 || len(s.unnamed(scenario)) > 0 {
			list = append(list, wanted{scenario: scenario})
			continue
		}
		for i, d := range doors {
			list = append(list, wanted{scenario, d, i})
		}
	}
	report.Results = make([]Result, len(list))
	var jobs []job
	for i, w := range list {
		r := &report.Results[i]
		*r = Result{Area: w.scenario.Area, Promise: w.scenario.Promise, Door: w.scenario.Door}
		if w.door == nil {
			r.Outcome, r.Missing = NotAsked, s.unnamed(w.scenario)
			continue
		}
		r.Address = w.door.addr
		if w.door.gone != nil {
			r.Missing = append(r.Missing, w.door.part)
		}
		for _, p := range w.scenario.Needs {
			if len(s.reachable(p)) == 0 {
				r.Missing = append(r.Missing, p)
			}
		}
		if len(r.Missing) > 0 {
			r.Outcome = Unreachable
			continue
		}
		jobs = append(jobs, job{w.scenario, w.door, w.index, r})
	}
	return jobs
}

// unnamed returns the parts that the scenario needs and that have no address.
func (s *System) unnamed(scenario Scenario) []Part {
	var out []Part
	for _, p := range append([]Part{scenario.Door}, scenario.Needs...) {
		if len(s.doors[p]) == 0 {
			out = append(out, p)
		}
	}
	return out
}

// idLetters have no vowels: no id spells anything.
const idLetters = "bcdfghjkmnpqrstvwxz23456789"

// runID is random, not secret: 27^8 of them are enough for the few runs whose traces could ever meet.
func runID() string {
	id := make([]byte, 8)
	for i := range id {
		id[i] = idLetters[rand.IntN(len(idLetters))]
	}
	return string(id)
}
