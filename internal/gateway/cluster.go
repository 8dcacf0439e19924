package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

// cluster is a compiled cluster.
type cluster struct {
	name           string
	endpoints      []endpoint
	dns            bool
	logical        bool // LOGICAL_DNS: the first address only
	family         clusterv3.Cluster_DnsLookupFamily
	connectTimeout time.Duration
}

type endpoint struct {
	host string
	port string
}

// Envoy's defaults for connect_timeout and dns_refresh_rate.
const (
	defaultConnectTimeout = 5 * time.Second
	dnsRefresh            = 5 * time.Second
)

func (c *compiler) cluster(path string, message *clusterv3.Cluster) *cluster {
	cl := &cluster{
		name:           message.GetName(),
		family:         message.GetDnsLookupFamily(),
		connectTimeout: defaultConnectTimeout,
	}
	if message.GetConnectTimeout() != nil {
		cl.connectTimeout = message.GetConnectTimeout().AsDuration()
	}
	switch message.GetType() {
	case clusterv3.Cluster_STATIC:
	case clusterv3.Cluster_STRICT_DNS:
		cl.dns = true
	case clusterv3.Cluster_LOGICAL_DNS:
		cl.dns, cl.logical = true, true
	default:
		c.problems.add(field(path, "type"), message.GetType().String()+" is "+refusal)
	}
	if policy := message.GetLbPolicy(); policy != clusterv3.Cluster_ROUND_ROBIN {
		c.problems.add(field(path, "lb_policy"), policy.String()+" is "+refusal)
	}
	path = field(path, "load_assignment")
	for i, locality := range message.GetLoadAssignment().GetEndpoints() {
		for j, lb := range locality.GetLbEndpoints() {
			at := index(field(index(field(path, "endpoints"), i), "lb_endpoints"), j)
			socket := lb.GetEndpoint().GetAddress().GetSocketAddress()
			if socket == nil {
				c.problems.add(at, "an endpoint without endpoint.address.socket_address")
				continue
			}
			if _, err := netip.ParseAddr(socket.GetAddress()); err != nil && !cl.dns {
				c.problems.add(field(at, "endpoint.address.socket_address.address"),
					fmt.Sprintf("%q is not an IP address, which type STATIC needs; write STRICT_DNS for names", socket.GetAddress()))
			}
			cl.endpoints = append(cl.endpoints, endpoint{socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue()))})
		}
	}
	if cl.logical && len(cl.endpoints) != 1 {
		c.problems.add(path, "LOGICAL_DNS takes exactly one endpoint")
	}
	return cl
}

// pool is a cluster at work: its connections, and whose turn it is.
type pool struct {
	cluster   *cluster
	transport *http.Transport

	mu       sync.Mutex
	next     int
	resolved []string
	until    time.Time // of resolved
}

// newPool starts a cluster; endpoints (host:port) replace the configured ones
// if there are any.
func newPool(c *cluster, endpoints []string) *pool {
	p := &pool{cluster: c}
	switch {
	case len(endpoints) > 0:
		p.cluster = &cluster{name: c.name, connectTimeout: c.connectTimeout}
		p.resolved = slices.Clone(endpoints)
	case !c.dns:
		for _, e := range c.endpoints {
			p.resolved = append(p.resolved, net.JoinHostPort(e.host, e.port))
		}
	}
	dialer := &net.Dialer{Timeout: c.connectTimeout}
	p.transport = &http.Transport{
		DialContext:         dialer.DialContext,
		DisableCompression:  true, // bodies pass as they are
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	}
	return p
}

// pick returns the address whose turn it is; false if the cluster has none.
func (p *pool) pick(ctx context.Context) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cluster.dns && time.Now().After(p.until) {
		p.resolved = p.resolve(ctx)
		p.until = time.Now().Add(dnsRefresh)
	}
	if len(p.resolved) == 0 {
		return "", false
	}
	p.next++
	return p.resolved[(p.next-1)%len(p.resolved)], true
}

// resolve keeps the old addresses of a name that can not be resolved any more,
// as Envoy does.
func (p *pool) resolve(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, p.cluster.connectTimeout)
	defer cancel()
	var all []string
	for _, e := range p.cluster.endpoints {
		addresses, err := lookup(ctx, e.host, p.cluster.family)
		if err != nil {
			return p.resolved
		}
		if p.cluster.logical && len(addresses) > 1 {
			addresses = addresses[:1]
		}
		for _, address := range addresses {
			all = append(all, net.JoinHostPort(address.Unmap().String(), e.port))
		}
	}
	return all
}

// lookup honours dns_lookup_family. Its default, AUTO, asks for IPv6 first and
// for IPv4 only if there is none.
func lookup(ctx context.Context, name string, family clusterv3.Cluster_DnsLookupFamily) ([]netip.Addr, error) {
	networks := map[clusterv3.Cluster_DnsLookupFamily][]string{
		clusterv3.Cluster_AUTO:         {"ip6", "ip4"},
		clusterv3.Cluster_V4_ONLY:      {"ip4"},
		clusterv3.Cluster_V6_ONLY:      {"ip6"},
		clusterv3.Cluster_V4_PREFERRED: {"ip4", "ip6"},
		clusterv3.Cluster_ALL:          {"ip"},
	}[family]
	var err error
	for _, network := range networks {
		var addresses []netip.Addr
		addresses, err = net.DefaultResolver.LookupNetIP(ctx, network, name)
		if err == nil && len(addresses) > 0 {
			return addresses, nil
		}
	}
	return nil, err
}
