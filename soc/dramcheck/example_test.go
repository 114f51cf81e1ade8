package dramcheck_test

import (
	"fmt"

	"socsim/soc/dramcheck"
)

func Example() {
	timing, err := dramcheck.Preset("lpddr-333-x32", 16)
	if err != nil {
		panic(err)
	}
	checker, err := dramcheck.New(timing, func(v dramcheck.Violation) { fmt.Println(v) })
	if err != nil {
		panic(err)
	}
	checker.Feed(dramcheck.Command{Clk: 0, Kind: dramcheck.Activate, Bank: 3, Row: 7})
	checker.Feed(dramcheck.Command{Clk: 2, Kind: dramcheck.Read, Bank: 3, Row: 7})
	checker.Feed(dramcheck.Command{Clk: 10, Kind: dramcheck.Precharge, Bank: 3})
	fmt.Println(checker.Violations(), "violations of", checker.Commands(), "commands")
	// Output:
	// tRCD: read 2 clocks after activate of bank 3, want 3 (clocks 0 and 2)
	// 1 violations of 3 commands
}
