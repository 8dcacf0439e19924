package gateway

import "net"

// Configurations returns the configurations of the wasm filters of the first
// listener, in the order of the filters.
func (c *Config) Configurations() (all [][]byte) {
	if len(c.listeners) == 0 {
		return nil
	}
	for _, plugin := range c.listeners[0].manager.plugins {
		all = append(all, plugin.config.Configuration)
	}
	return all
}

// ClustersAt returns the names of the clusters with an endpoint at the address.
func (c *Config) ClustersAt(address string) (names []string) {
	for name, cluster := range c.clusters {
		for _, e := range cluster.endpoints {
			if net.JoinHostPort(e.host, e.port) == address {
				names = append(names, name)
			}
		}
	}
	return names
}
