package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"corsfilter/internal/fieldpath"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// cluster is a compiled cluster of one endpoint.
type cluster struct {
	name           string
	address        string // host:port; empty: the file names no endpoint
	connectTimeout time.Duration
}

// defaultConnectTimeout is Envoy's.
const defaultConnectTimeout = 5 * time.Second

func (c *compiler) cluster(path string, message *clusterv3.Cluster) *cluster {
	cl := &cluster{name: message.GetName(), connectTimeout: defaultConnectTimeout}
	if message.GetConnectTimeout() != nil {
		cl.connectTimeout = message.GetConnectTimeout().AsDuration()
	}
	if kind := message.GetType(); kind != clusterv3.Cluster_STATIC {
		c.problems.add(fieldpath.Key(path, "type"), kind.String()+" is "+refusal)
	}
	path = fieldpath.Key(fieldpath.Key(path, "load_assignment"), "endpoints")
	for i, locality := range message.GetLoadAssignment().GetEndpoints() {
		for j, lb := range locality.GetLbEndpoints() {
			at := fieldpath.Index(fieldpath.Key(fieldpath.Index(path, i), "lb_endpoints"), j)
			if cl.address != "" {
				c.problems.add(at, "a second endpoint is "+refusal)
				continue
			}
			cl.address = c.endpoint(at, lb)
		}
	}
	return cl
}

func (c *compiler) endpoint(path string, lb *endpointv3.LbEndpoint) string {
	socket := lb.GetEndpoint().GetAddress().GetSocketAddress()
	if socket == nil {
		c.problems.add(path, "an endpoint without endpoint.address.socket_address")
		return ""
	}
	if _, err := netip.ParseAddr(socket.GetAddress()); err != nil {
		c.problems.add(fieldpath.Key(path, "endpoint.address.socket_address.address"),
			fmt.Sprintf("%q is not an IP address, which type STATIC needs; names are %s", socket.GetAddress(), refusal))
	}
	return net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
}

// newTransport returns the connections of a cluster.
func newTransport(c *cluster) *http.Transport {
	dialer := &net.Dialer{Timeout: c.connectTimeout}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		DisableCompression:  true, // bodies pass as they are
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	}
}
