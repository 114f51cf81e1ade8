package compare

func (c *Comparison) conclude() {}
