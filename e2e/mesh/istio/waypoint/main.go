// Command waypoint is pilot-discovery for waypoints that run upstream's Envoy: Istio sends
// them two filters and a factory that only its own build of Envoy has, and no setting
// leaves these out.
package main

import (
	"bytes"
	"os"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pilot/pkg/xds/filters"
)

func main() {
	// Any filter that upstream has and that changes no request.
	standIn, _ := proto.Clone(filters.GrpcStats).(*hcmv3.HttpFilter)
	standIn.Name = "in-place-of-peer-metadata"
	filters.WaypointDownstreamMetadataFilter, filters.WaypointUpstreamMetadataFilter = standIn, standIn
	for _, config := range []*anypb.Any{filters.ConnectAuthorityFilter.GetTypedConfig(), filters.ConnectAuthorityNetworkFilter.GetTypedConfig()} {
		// Names of one length: the message around them stays well-formed.
		config.Value = bytes.ReplaceAll(config.Value, []byte("istio.hashable_string"), []byte("envoy.hashable_string"))
	}
	if err := app.NewRootCommand().Execute(); err != nil {
		os.Exit(1)
	}
}
