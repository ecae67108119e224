package guard

import "cmp"

// A preset holds the selectors of the metrics that a widely used library or proxy offers, and the unit of its
// histogram. The tests of plugins/scrape read what each of them exposes.
type preset struct {
	total, bad, histogram string
	unit                  string
	noLatency             string // why it has no histogram
}

// Where a component itself says which service a request was for, the preset asks for $service too: two services may
// have versions of the same name.
var presets = map[string]preset{
	"promhttp": { // the names that client_golang's promhttp examples give to instrumented handlers
		total:     `http_requests_total{version="$version"}`,
		bad:       `http_requests_total{version="$version",code=~"5.."}`,
		histogram: `http_request_duration_seconds{version="$version"}`,
	},
	"otel-http": { // the stable semantic conventions, with the resource's name and version as labels
		total:     `http_server_request_duration_seconds_count{service_name="$service",service_version="$version"}`,
		bad:       `http_server_request_duration_seconds_count{service_name="$service",service_version="$version",http_response_status_code=~"5.."}`,
		histogram: `http_server_request_duration_seconds{service_name="$service",service_version="$version"}`,
	},
	"micrometer": { // Spring Boot with the common tags application and version, and with percentiles-histogram
		total:     `http_server_requests_seconds_count{application="$service",version="$version"}`,
		bad:       `http_server_requests_seconds_count{application="$service",version="$version",status=~"5.."}`,
		histogram: `http_server_requests_seconds{application="$service",version="$version"}`,
	},
	"istio": { // the canonical names do not depend on what the Service or the Deployment of a canary is called
		total:     `istio_requests_total{reporter=~"destination|waypoint",destination_canonical_service="$service",destination_canonical_revision="$version"}`,
		bad:       `istio_requests_total{reporter=~"destination|waypoint",destination_canonical_service="$service",destination_canonical_revision="$version",response_code=~"5.."}`,
		histogram: `istio_request_duration_milliseconds{reporter=~"destination|waypoint",destination_canonical_service="$service",destination_canonical_revision="$version"}`,
		unit:      milliseconds,
	},
	"linkerd": { // app and version are labels of the pod, which linkerd-viz's Prometheus adds
		total:     `response_total{direction="inbound",app="$service",version="$version"}`,
		bad:       `response_total{direction="inbound",app="$service",version="$version",classification="failure"}`,
		histogram: `response_latency_ms{direction="inbound",app="$service",version="$version"}`,
		unit:      milliseconds,
	},
	"envoy": { // a cluster for each version
		total:     `envoy_cluster_upstream_rq_xx{envoy_cluster_name="$service-$version"}`,
		bad:       `envoy_cluster_upstream_rq_xx{envoy_cluster_name="$service-$version",envoy_response_code_class="5"}`,
		histogram: `envoy_cluster_upstream_rq_time{envoy_cluster_name="$service-$version"}`,
		unit:      milliseconds,
	},
	"nginx-ingress": { // requests of a canary have the name of the old version's Service, and its own in the label canary
		total:     `nginx_ingress_controller_requests{service="$service",canary=~"$canary"}`,
		bad:       `nginx_ingress_controller_requests{service="$service",canary=~"$canary",status=~"5.."}`,
		histogram: `nginx_ingress_controller_request_duration_seconds{service="$service",canary=~"$canary"}`,
	},
	"traefik": { // a service for each version; the duration of a WebSocket is that of its connection
		total:     `traefik_service_requests_total{service=~"$service-$version@.+",protocol!="websocket"}`,
		bad:       `traefik_service_requests_total{service=~"$service-$version@.+",protocol!="websocket",code=~"5.."}`,
		histogram: `traefik_service_request_duration_seconds{service=~"$service-$version@.+",protocol!="websocket"}`,
	},
	"log": { // what the source log counts, which keeps the versions apart by itself
		total:     `log_requests_total`,
		bad:       `log_requests_total{status=~"5.."}`,
		histogram: `log_request_duration_seconds`,
	},
	"haproxy": { // a server for each version
		total:     `haproxy_server_http_responses_total{proxy="$service",server="$version"}`,
		bad:       `haproxy_server_http_responses_total{proxy="$service",server="$version",code="5xx"}`,
		noLatency: "HAProxy exposes a mean of the last 1024 requests and no histogram of latencies",
	},
}

// milliseconds is the unit of a histogram that does not count in seconds.
const milliseconds = "milliseconds"

// take fills in what a preset knows of a signal, beside what the plan says of it.
func (s *Signal) take(p preset) {
	switch {
	case s.Name == "errors" && s.Histogram == "" && s.Value == "":
		s.Total, s.Bad = cmp.Or(s.Total, p.total), cmp.Or(s.Bad, p.bad)
	case s.Name == "latency" && s.Total == "" && s.Bad == "" && s.Value == "":
		s.Histogram, s.Unit = cmp.Or(s.Histogram, p.histogram), cmp.Or(s.Unit, p.unit)
	}
}
