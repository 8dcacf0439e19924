package convert

// ChangeKind names a way in which a converted policy differs from its source.
type ChangeKind string

// The kinds. The set is closed: any other difference is a problem.
const (
	DeniedPreflight   ChangeKind = "denied-preflight"
	PreflightStatus   ChangeKind = "preflight-status"
	UpstreamHeaders   ChangeKind = "upstream-headers"
	AnyOriginIsStar   ChangeKind = "any-origin-is-star"
	AnyWithCredential ChangeKind = "any-origin-with-credentials"
	StarCredentials   ChangeKind = "star-with-credentials"
	VaryIsSet         ChangeKind = "vary"
	MoreResponses     ChangeKind = "more-responses"
	LiteralStar       ChangeKind = "literal-star"
	ForbiddenMethod   ChangeKind = "forbidden-method"
	LetterCase        ChangeKind = "letter-case"
	MethodCase        ChangeKind = "method-case"
	NoOrigins         ChangeKind = "no-origins"
	RuntimeKey        ChangeKind = "runtime-key"
	HostSpelling      ChangeKind = "host-spelling"
	ShortHost         ChangeKind = "short-host"
	OrderOfObjects    ChangeKind = "order-of-objects"
	EarlierInChain    ChangeKind = "earlier-in-chain"
	GatewayDecides    ChangeKind = "gateway-decides"
	LeftOut           ChangeKind = "left-out"
	MoreAllowed       ChangeKind = "more-allowed"
	StricterPatterns  ChangeKind = "stricter-patterns"
	DefaultBackend    ChangeKind = "default-backend"
	OneLabel          ChangeKind = "one-label"
	OptionsForwarded  ChangeKind = "options-forwarded"
	OutOfReach        ChangeKind = "out-of-reach"
	PathSpelling      ChangeKind = "path-spelling"
	AddedBeside       ChangeKind = "added-beside"
	ReadAsRegex       ChangeKind = "read-as-regex"
)

// Kinds describes each kind in one sentence.
var Kinds = map[ChangeKind]string{
	DeniedPreflight:   "a preflight from an unlisted origin is answered with 403",
	PreflightStatus:   "an answered preflight has the status 204",
	UpstreamHeaders:   "CORS headers from upstream are replaced or removed",
	AnyOriginIsStar:   "any origin gets `*` instead of its own name",
	AnyWithCredential: "any origin gets its visitors' data: the source asks for `*` with credentials, which browsers refuse, and here the origin is sent back",
	StarCredentials:   "credentials beside `*` are left out: browsers refuse the two together",
	VaryIsSet:         "Vary names Origin wherever the response depends on it",
	MoreResponses:     "redirects and the proxy's own replies also carry CORS headers",
	LiteralStar:       "a `*` that requests with credentials read as a name stands for any name here, or is left out as in the source",
	ForbiddenMethod:   "a method that no browser sends is left out",
	MethodCase:        "a method in lower case is allowed, in the upper case that browsers send",
	LetterCase:        "origins are compared in lower case, as browsers send them",
	NoOrigins:         "a policy without origins allows nobody; it is off here, or answers preflights with 403",
	RuntimeKey:        "the proxy's runtime can no longer change the share of requests",
	HostSpelling:      "a host with a port, or with a dot at its end, is treated as the plain host",
	ShortHost:         "a short name means the Service in its namespace, in all spellings",
	OrderOfObjects:    "objects for the same host apply in the order of their age and names",
	EarlierInChain:    "the filter comes before authentication, so preflights are answered and refusals carry CORS headers",
	GatewayDecides:    "the source lets the gateway decide what a preflight or request from an unlisted origin gets",
	LeftOut:           "a part of the source was left out",
	MoreAllowed:       "a request that the source refuses is answered or forwarded",
	StricterPatterns:  "a pattern must match the whole origin, where the source looks for it anywhere",
	DefaultBackend:    "paths that no object names have no policy",
	OneLabel:          "a host's wildcard matches any number of labels",
	OptionsForwarded:  "an OPTIONS request that is not a preflight goes upstream",
	OutOfReach:        "a policy that no request reaches is left out",
	PathSpelling:      "a path is compared as the proxy sees it, without decoding it first",
	ReadAsRegex:       "an origin that looks like a pattern is a regex in the source, and matches other origins",
	AddedBeside:       "CORS headers that the proxy adds outside the policy are replaced or removed",
}

// Change is one of them, for a rule.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// Text says what it means for this rule, without relying on the kind's sentence.
	Text string `json:"text"`
}
