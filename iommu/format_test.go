package iommu

import "testing"

func TestAddressesEndWhereTheFormatSaysSo(t *testing.T) {
	for _, f := range []Format{OMAP, SGX, SMMU} {
		l, err := f.layout()
		if err != nil {
			t.Fatal(err)
		}
		if end := uint64(1) << f.AddressBits(); !l.inRange(end-1) || l.inRange(end) {
			t.Errorf("%s: %d bits, but %#x is in range: %t, and %#x: %t", f, f.AddressBits(), end-1, l.inRange(end-1), end, l.inRange(end))
		}
	}
}
