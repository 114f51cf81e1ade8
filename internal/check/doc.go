// Package check judges scenarios for continuous integration: it runs them, judges their expectations and the folder's budgets, and compares what they measure with baselines committed beside them.
//
// A baseline is one small file for each scenario and strategy, in the folder baselines beside the scenario: a line a metric, sorted, so that a change is reviewed as a diff. Results are deterministic, so
// every difference counts unless the folder's rules (check.yaml) tolerate or ignore it, and an improvement is a difference too: it belongs into the baseline. A failing run never writes one.
//
// The package prints nothing; package ci and package report do. It leaves out what a difference on another machine could come from: there is none.
package check
