package scenario

import (
	"strings"

	"socsim/internal/conf"
	"socsim/internal/result"
	"socsim/soc"
)

// Label returns the label that results on the chip carry, or nil if it is not an illustrative one. What a user has set is neither a value of the preset nor an estimate.
func Label(chip soc.Config, values []conf.Provenance) *result.Illustrative {
	if !chip.Illustrative {
		return nil
	}
	l := &result.Illustrative{Preset: chip.Preset}
	for _, v := range values {
		if !strings.HasPrefix(v.Path, "soc.") {
			continue
		}
		l.Values++
		if v.Estimated {
			l.Estimated++
		}
	}
	return l
}
