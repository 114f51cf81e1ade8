package dram

// DataClocks returns how many clocks n bytes occupy the data bus, were there no bursts to fill.
func (c Config) DataClocks(n int) int64 {
	beat := 2 * int64(c.Width)
	return (int64(n) + beat - 1) / beat
}
