// Package floors holds the rules of the house: which package may import which. It has no code of its own; its test reads the source of the whole module, for all build tags,
// and reports each import that runs upwards or that is forbidden.
//
// The floors, from the ground:
//
//	sim, sim/...           time, events, processes, ports
//	cachemodel             the standard library alone
//	iommu
//	isp, gpu
//	soc/cpu, dram, dramcheck, l3, memory, display    hardware
//	soc                    assembles the hardware
//	soc/...                software: all else in soc
//	internal/...           scenario, run, result; and the data they read: soc/presets, scenarios
//	cmd/...
//
// A package imports from its own floor or from below, never from above; isp and gpu do not know each other. sim, cachemodel, soc/dramcheck and the data import nothing of ours. That hardware does not
// import software, software neither internal nor scenarios, and nobody cmd, follows. Beyond that: YAML is read by internal/conf alone, the first math/rand is not used (its global stream is
// shared by all who draw), and the model does not look at the host's clock.
//
// Left out: tests, where they import from above to set a scene; they too keep to the rules about YAML and math/rand. Tools in modules of their own.
//
// The cost is one parse of the module's source.
package floors
