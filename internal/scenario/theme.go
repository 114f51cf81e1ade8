package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Themes are what a scenario may be about, in the order in which the library is listed.
func Themes() []string {
	return []string{"camera", "video", "vision", "display", "zero-copy", "copy", "multi-device", "maintenance", "aliasing", "io-coherent", "ownership", "iommu", "bus"}
}

func (c *checker) checkTheme() {
	if themes := Themes(); c.Theme != "" && !slices.Contains(themes, c.Theme) {
		c.errorf("theme", "%s", withNearest(fmt.Sprintf("unknown theme %q; there are %s", c.Theme, strings.Join(themes, ", ")), c.Theme, themes))
	}
}
