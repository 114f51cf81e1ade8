package compare

import (
	"fmt"
	"strings"

	"socsim/internal/result"
	"socsim/sim"
)

// maxNamed is how many causes and metrics a sentence names.
const maxNamed = 3

// conclude says in words what the numbers show.
func (c *Comparison) conclude() {
	if c.Identical {
		c.say("The two documents are identical but for the machine they were made on.")
		return
	}
	if len(c.Changes) == 0 {
		c.say("No metric differs.")
	}
	c.concludeCPU()
	c.concludeBus()
	c.concludeReturn()
	c.concludeCorrectness()
}

func (c *Comparison) say(format string, args ...any) {
	c.Conclusion = append(c.Conclusion, fmt.Sprintf(format, args...))
}

// perFrame tells whether the comparison is best made a frame.
func (c *Comparison) perFrame() bool { return c.A.Frames > 0 && c.B.Frames > 0 }

// of returns a part's times, a frame where there are frames.
func (c *Comparison) of(p Part) (a, b int64) {
	if c.perFrame() {
		return p.APerFrame, p.BPerFrame
	}
	return p.A, p.B
}

func (c *Comparison) per() string {
	if c.perFrame() {
		return " a frame"
	}
	return ""
}

// concludeCPU says who needs less of the core and why.
func (c *Comparison) concludeCPU() {
	if c.CPU == nil {
		c.say("The time by cause is not known: a document has no metrics %s*, as those of replays and of versions before them.", cpuTime)
		return
	}
	a, b := c.of(c.CPU.Busy)
	if a == b {
		c.say("Both keep the CPU busy %s%s.", Duration(a), c.per())
		return
	}
	cheap, dear := c.A, c.B
	less, more := a, b
	sign := int64(-1) // of what the cheaper one saves, seen from A
	if b < a {
		cheap, dear = c.B, c.A
		less, more = b, a
		sign = 1
	}
	c.say("%s is cheaper for the CPU: it is busy %s%s, under %s %s, which is %s (%s) less.", cheap.Name, Duration(less), c.per(), dear.Name, Duration(more), Duration(more-less), percent(more-less, more))
	saved, paid := c.split(c.CPU.Parts, sign)
	if len(saved) > 0 {
		c.say("It saves %s.", strings.Join(saved, ", "))
	}
	if len(paid) > 0 {
		c.say("It pays for that with %s.", strings.Join(paid, ", "))
	}
}

// split lists the largest parts by which the cheaper side is less, and those by which it is more; sign is 1 if that is B. What is under a hundredth of the largest is not worth a word.
func (c *Comparison) split(parts []Part, sign int64) (saved, paid []string) {
	var largest int64
	for _, p := range parts {
		a, b := c.of(p)
		largest = max(largest, abs(b-a))
	}
	for _, p := range parts {
		a, b := c.of(p)
		d := (a - b) * sign
		text := fmt.Sprintf("%s of %s", Duration(abs(d)), Words(p.Cause))
		switch {
		case abs(d)*100 < largest || d == 0:
		case d > 0 && len(saved) < maxNamed:
			saved = append(saved, text)
		case d < 0 && len(paid) < maxNamed:
			paid = append(paid, text)
		}
	}
	return saved, paid
}

// concludeBus says what becomes of the memory's bus.
func (c *Comparison) concludeBus() {
	if c.Bus == nil || c.Bus.Total.A == 0 || c.Bus.Total.B == 0 {
		return
	}
	a, b := c.of(c.Bus.Busy)
	if a == b {
		c.say("The memory's bus is as busy under both.")
		return
	}
	verb, sign := "more", int64(-1)
	if b < a {
		verb, sign = "less", 1
	}
	changed, _ := c.split(c.Bus.Parts, sign)
	c.say("Under %s the memory's bus is busy %s%s %s (%s of the time against %s): %s.", c.B.Name, Duration(abs(b-a)), c.per(), verb, percent(c.Bus.Busy.B, c.Bus.Total.B),
		percent(c.Bus.Busy.A, c.Bus.Total.A), strings.Join(changed, ", "))
}

// concludeReturn names what got worse and better beside the times by cause.
func (c *Comparison) concludeReturn() {
	for _, v := range []struct {
		verdict Verdict
		format  string
	}{{Worse, "Worse under %s: %s."}, {Better, "Better under %s: %s."}} {
		var list []string
		for _, h := range headlines {
			for _, x := range c.Changes {
				if x.Verdict == v.verdict && x.Relative.Int >= majorChange && x.A != nil && x.B != nil && headline(h, x.Metric) {
					list = append(list, fmt.Sprintf("%s (%s after %s)", x.Metric, Value(x.B, x.Unit), Value(x.A, x.Unit)))
				}
			}
		}
		if len(list) > 0 {
			c.say(v.format, c.B.Name, strings.Join(list[:min(len(list), 2*maxNamed)], ", "))
		}
	}
}

// headlines are the metrics that a paragraph may name, in that order: a name, or the beginning and the end of one.
var headlines = []string{
	"frames.dropped", "isp.overflows", "display.underflows", "frames.captured", "latency.capture_to_display.p95", "latency.capture_to_display.max", "task.*.slowdown", "cpu.irq_off.max",
	"maintenance.time_per_frame",
}

func headline(pattern, name string) bool {
	before, after, both := strings.Cut(pattern, "*")
	return pattern == name || both && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) && len(name) > len(before)+len(after)
}

// concludeCorrectness says who is coherent. A price means nothing if the data is wrong.
func (c *Comparison) concludeCorrectness() {
	const total = "coherency.violations"
	x, inA := c.A.Document.Metrics[total]
	y, inB := c.B.Document.Metrics[total]
	if !inA || !inB {
		return
	}
	a, b := x.Value.Int, y.Value.Int
	switch {
	case a == 0 && b == 0:
		c.say("Both are correct: neither has a violation.")
	case a == 0:
		c.say("%s is not correct: it has %s where %s has none%s.", c.B.Name, violations(b), c.A.Name, kinds(c.B.Document))
	case b == 0:
		c.say("%s is not correct: it has %s where %s has none%s.", c.A.Name, violations(a), c.B.Name, kinds(c.A.Document))
	case a == b:
		c.say("Neither is correct: both have %s%s.", violations(a), kinds(c.B.Document))
	default:
		c.say("Neither is correct: %s has %s%s, %s %s%s.", c.A.Name, violations(a), kinds(c.A.Document), c.B.Name, violations(b), kinds(c.B.Document))
	}
}

func violations(n int64) string {
	if n == 1 {
		return "1 violation"
	}
	return group(n) + " violations"
}

// kinds lists the kinds of violations of a document, in brackets.
func kinds(d *result.Document) string {
	var list []string
	for _, k := range []string{"stale_device_reads", "stale_cpu_reads", "lost_device_data", "lost_cpu_data", "alias_errors", "others"} {
		if n := d.Metrics["coherency."+k].Value.Int; n > 0 {
			list = append(list, fmt.Sprintf("%s %s", group(n), strings.ReplaceAll(k, "_", " ")))
		}
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// Words says in words what a cause of the core's or the bus's time is.
func Words(cause string) string {
	if w, ok := words[cause]; ok {
		return w
	}
	if dot := strings.LastIndexByte(cause, '.'); dot >= 0 { // of a master
		if w, ok := words[cause[dot:]]; ok {
			return cause[:dot] + w
		}
	}
	return cause
}

var words = map[string]string{
	"idle":                   "idle",
	"compute":                "computing",
	"l2_hit":                 "L2 hits",
	"table_walk":             "page-table walks",
	"refill":                 "refills",
	"refill_collateral":      "refills of lines thrown out",
	"contention":             "waiting behind others",
	"uncached_read":          "uncached reads",
	"posted_write":           "waiting for writes",
	"maintenance_call":       "maintenance per call",
	"barrier":                "barriers",
	"maintenance_page":       "maintenance per page",
	"maintenance_line":       "maintenance per line",
	"maintenance_write_back": "write-backs of dirty lines",
	"interrupt":              "interrupts",
	"context_switch":         "context switches",
	"driver":                 "system calls and drivers",
	"registers":              "device registers",
	"latency":                "access latency",
	"refresh":                "refreshes",
	"wake_up":                "leaving power-down",
	"row":                    "opening and closing rows",
	"turnaround":             "turnarounds",
	"clock_change":           "changes of the clock",
	".read":                  "'s reads",
	".write":                 "'s writes",
	".walk":                  "'s table walks",
	".fill":                  "'s line fills",
	".uncached":              "'s uncached reads",
	".speculation":           "'s speculative fills",
	".evict":                 "'s evictions",
	".maintenance":           "'s write-backs by maintenance",
	".store":                 "'s stores past the caches",
}

// Duration prints picoseconds in a readable unit.
func Duration(ps int64) string {
	sign := ""
	if ps < 0 {
		sign, ps = "-", -ps
	}
	if ps < 500 {
		return "0" // or what rounds to it
	}
	for _, u := range []struct {
		unit   sim.Time
		name   string
		digits int
	}{{sim.Second, "s", 3}, {sim.Millisecond, "ms", 3}, {sim.Microsecond, "us", 1}, {sim.Nanosecond, "ns", 0}} {
		if ps >= int64(u.unit) || u.digits == 0 {
			return fmt.Sprintf("%s%s %s", sign, fixed(ps, int64(u.unit), u.digits), u.name)
		}
	}
	return ""
}

// fixed prints num / den with so many decimals, rounded half up in integers.
func fixed(num, den int64, digits int) string {
	r := result.Ratio(num, den, digits)
	if digits == 0 {
		return fmt.Sprint(r.Int)
	}
	div := int64(1)
	for range digits {
		div *= 10
	}
	return fmt.Sprintf("%d.%0*d", r.Int/div, digits, r.Int%div)
}

// percent prints a share.
func percent(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	r := result.Ratio(part, whole, 3).Int
	return fmt.Sprintf("%d.%d %%", r/10, r%10)
}

// Value prints a metric's value in a readable unit; "-" where there is none.
func Value(n *result.Number, unit string) string {
	if n == nil {
		return "-"
	}
	switch unit {
	case "ns":
		return Duration(scaled(*n) / 1000)
	case "fraction":
		sign := ""
		v := scaled(*n)
		if v < 0 {
			sign, v = "-", -v
		}
		return sign + fixed(v, 10_000, 2) + " %"
	case "bytes":
		return size(n.Int)
	}
	if n.Digits > 0 {
		return n.String()
	}
	return group(n.Int)
}

// group prints an integer in groups of three digits.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// size prints bytes in a readable binary unit.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fixed(n, 1<<20, 1) + " MiB"
	case n >= 1<<10:
		return fixed(n, 1<<10, 1) + " KiB"
	}
	return fmt.Sprintf("%d B", n)
}
