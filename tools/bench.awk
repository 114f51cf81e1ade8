# Prints what go test -bench prints as a table: package, benchmark, the benchmark's own rates, time and allocations of one operation.
# Lines that it does not know, such as failures, pass through.

function scaled(value, unit) {
	if (unit !~ /\/s$/ || value < 1e4) return sprintf("%.4g %s", value, unit)
	if (value < 1e6) return sprintf("%.4g k%s", value / 1e3, unit)
	if (value < 1e9) return sprintf("%.4g M%s", value / 1e6, unit)
	return sprintf("%.4g G%s", value / 1e9, unit)
}

function duration(ns) {
	if (ns < 1e3) return sprintf("%.3g ns/op", ns)
	if (ns < 1e6) return sprintf("%.3g us/op", ns / 1e3)
	if (ns < 1e9) return sprintf("%.3g ms/op", ns / 1e6)
	return sprintf("%.3g s/op", ns / 1e9)
}

/^(goos|goarch|PASS)/ || /^ok / { next }
/^cpu: / { if (!shown++) print; next }
/^pkg: / { pkg = $2; sub(/^[^\/]*\//, "", pkg); next }
/^Benchmark.*\/op/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	own = time = allocs = ""
	for (i = 3; i < NF; i += 2) {
		if ($(i + 1) == "ns/op") time = duration($i)
		else if ($(i + 1) == "allocs/op") allocs = $i " allocs/op"
		else if ($(i + 1) != "B/op") own = own (own == "" ? "" : ", ") scaled($i, $(i + 1))
	}
	line = sprintf("%-16s %-32s %-44s %14s %16s", pkg, name, own, time, allocs)
	sub(/ +$/, "", line)
	print line
	fflush()
	next
}
{ print; fflush() }
