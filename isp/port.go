package isp

import "fmt"

// PortID names a port of the shared buffer logic.
type PortID uint8

// The ports, in the order of their priorities: the first is the most urgent.
const (
	GainTableIn PortID = iota // lens shading gains of the CCDC; the hardware shares the port with dark frames and CCP2 input
	FaultPixelIn
	CCP2Out
	CSI2AOut
	CCDCOut
	ResizerLine1
	ResizerLine2
	ResizerLine3
	ResizerLine4
	PreviewOut
	AFOut
	AEWBOut
	ResizerIn
	PreviewIn
	HistogramIn

	NumPorts
)

// LinePorts is the number of line ports of the resizer.
const LinePorts = 4

// ports is the table of OMAP36xx TRM SWPU177N p. 1231. A port's priority P0 to P14 is its place in the table. The TRM gives 1024 bytes (4 data units) to each port but the small ones, which
// have 512 (2 data units). Fault pixels, CCP2 and CSI2A have no client in this model.
var ports = [NumPorts]struct {
	name  string
	write bool
	small bool
}{
	GainTableIn:  {name: "LSC in"},
	FaultPixelIn: {name: "fault pixel in", small: true},
	CCP2Out:      {name: "CCP2 out", write: true},
	CSI2AOut:     {name: "CSI2A out", write: true},
	CCDCOut:      {name: "CCDC out", write: true},
	ResizerLine1: {name: "resizer line 1", write: true},
	ResizerLine2: {name: "resizer line 2", write: true},
	ResizerLine3: {name: "resizer line 3", write: true},
	ResizerLine4: {name: "resizer line 4", write: true},
	PreviewOut:   {name: "preview out", write: true},
	AFOut:        {name: "H3A AF out", write: true, small: true},
	AEWBOut:      {name: "H3A AE/AWB out", write: true, small: true},
	ResizerIn:    {name: "resizer in"},
	PreviewIn:    {name: "preview in"},
	HistogramIn:  {name: "histogram in", small: true},
}

// String returns the port's name: "CCDC out".
func (p PortID) String() string {
	if p >= NumPorts {
		return fmt.Sprintf("port %d", uint8(p))
	}
	return ports[p].name
}

// Priority returns the port's priority in the shared buffer logic, 0 the highest.
func (p PortID) Priority() int { return int(p) }

// Write tells whether the port's data flow towards memory.
func (p PortID) Write() bool { return ports[p].write }

// slots returns how many data units the port stores.
func (p PortID) slots(cfg Config) int {
	if ports[p].small {
		return int(cfg.SmallPortBytes / cfg.DataUnit)
	}
	return int(cfg.PortBytes / cfg.DataUnit)
}
