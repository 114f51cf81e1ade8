package scenario

import (
	"fmt"

	"socsim/internal/conf"
)

// Settings lists every setting of the scenario, resolved, by its dotted path.
func (l *Loaded) Settings() ([]conf.Setting, error) {
	list, err := conf.Settings(l.Scenario)
	if err != nil {
		return nil, fmt.Errorf("listing the settings of scenario %s: %w", l.Name, err)
	}
	return list, nil
}
