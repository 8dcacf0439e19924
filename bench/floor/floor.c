// The floor: a proxy-wasm module that makes the host calls that a request needs (no
// Origin 3, actual 7, denied 4, preflight 5, with counters passed on by tick) and decides
// nothing. It recognizes the case by the host's answers and one byte of the Origin:
// unlisted origins of bench/workload start with "https://e". It sets constant headers, and
// the Origin as it was read. A faster filter would have to leave out calls. It is timed in
// Envoy and in V8, and is not part of a release.
//
// Plain C without a library: the Makefile builds it with clang and wasm-ld.
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(proxy_get_header_map_value)(uint32_t map, const char *key, uint32_t key_size, uint32_t *value, uint32_t *size);
IMPORT(proxy_get_header_map_pairs)(uint32_t map, uint32_t *data, uint32_t *size);
IMPORT(proxy_replace_header_map_value)(uint32_t map, const char *key, uint32_t key_size, const char *value, uint32_t size);
IMPORT(proxy_add_header_map_value)(uint32_t map, const char *key, uint32_t key_size, const char *value, uint32_t size);
IMPORT(proxy_send_local_response)(uint32_t status, const char *details, uint32_t details_size, const char *body, uint32_t body_size, const char *headers, uint32_t headers_size, int32_t grpc_status);
IMPORT(proxy_define_metric)(uint32_t kind, const char *name, uint32_t size, uint32_t *id);
IMPORT(proxy_increment_metric)(uint32_t id, int64_t offset);
IMPORT(proxy_set_tick_period_milliseconds)(uint32_t period);

// Maps, kinds and actions of the ABI.
enum { REQUEST = 0, RESPONSE = 2 };
enum { COUNTER = 0 };
enum { CONTINUE = 0, PAUSE = 1 };

// The cases.
enum { NO_ORIGIN, ACTUAL, DENIED, PREFLIGHT };

#define TEXT(s) (s), (sizeof(s) - 1)

// The host writes values here; the next callback uses it again.
static char scratch[64 << 10] __attribute__((aligned(16)));
static uint32_t used;

// What is kept from the request to the response: one place for each of as many
// streams as are open at once.
enum { OPEN = 256, MAX_ORIGIN = 512 };
static struct {
	uint32_t outcome;
	uint32_t size;
	char origin[MAX_ORIGIN];
} streams[OPEN];

// Two counters for each case that counts, added up until the next tick.
static const char *const names[][2] = {
	[ACTUAL] = {"cors.origin_valid", "cors.request_allowed"},
	[DENIED] = {"cors.origin_invalid", "cors.request_denied"},
	[PREFLIGHT] = {"cors.origin_valid", "cors.preflight_allowed"},
};
static uint32_t ids[4][2];
static int64_t counted[4];

// A reply's headers as they go to the host: the number of pairs, then the sizes
// of each name and value, then each of them with a NUL behind it. The value that
// differs comes last, so that all before it is constant.
#define PAIR(name, value) name "\0" value "\0"
#define VARY "origin, access-control-request-method, access-control-request-headers"
static struct {
	uint32_t pairs;
	uint32_t sizes[7][2];
	char text[sizeof(PAIR("vary", VARY) PAIR("access-control-allow-credentials", "true") PAIR("access-control-allow-methods", "PUT, DELETE")
			PAIR("access-control-allow-headers", "content-type, x-request-id") PAIR("access-control-expose-headers", "x-total-count") PAIR("access-control-max-age", "600") "access-control-allow-origin") + MAX_ORIGIN + 1];
} reply = {
	7,
	{{4, sizeof(VARY) - 1}, {32, 4}, {28, 11}, {28, 26}, {29, 13}, {22, 3}, {27, 0}},
	PAIR("vary", VARY) PAIR("access-control-allow-credentials", "true") PAIR("access-control-allow-methods", "PUT, DELETE")
		PAIR("access-control-allow-headers", "content-type, x-request-id") PAIR("access-control-expose-headers", "x-total-count") PAIR("access-control-max-age", "600") "access-control-allow-origin",
};
enum { CONSTANT = sizeof(reply.text) - MAX_ORIGIN - 1 };

static void copy(char *to, const char *from, uint32_t n) {
	while (n >= 8) {
		__builtin_memcpy(to, from, 8);
		to += 8, from += 8, n -= 8;
	}
	while (n-- > 0) *to++ = *from++;
}

EXPORT(proxy_abi_version_0_2_1) void abi_version(void) {}

EXPORT(proxy_on_memory_allocate) void *allocate(uint32_t size) {
	uint32_t at = used;
	if (size > sizeof(scratch) - at) return 0;
	used = (at + size + 7) & ~7u;
	return scratch + at;
}

EXPORT(proxy_on_configure) uint32_t configure(uint32_t id, uint32_t size) {
	for (int c = ACTUAL; c <= PREFLIGHT; c++)
		for (int i = 0; i < 2; i++) {
			uint32_t n = 0;
			while (names[c][i][n]) n++;
			proxy_define_metric(COUNTER, names[c][i], n, &ids[c][i]);
		}
	proxy_set_tick_period_milliseconds(1000);
	return 1;
}

EXPORT(proxy_on_context_create) void create(uint32_t id, uint32_t parent) {}

EXPORT(proxy_on_request_headers) uint32_t request(uint32_t id, uint32_t headers, uint32_t end) {
	uint32_t at, size, s = id % OPEN;
	used = 0;
	streams[s].outcome = NO_ORIGIN;
	if (proxy_get_header_map_value(REQUEST, TEXT("origin"), &at, &size) || size > MAX_ORIGIN) return CONTINUE;
	copy(streams[s].origin, (const char *)at, size);
	streams[s].size = size;
	if (proxy_get_header_map_value(REQUEST, TEXT("access-control-request-method"), &at, &size)) {
		counted[streams[s].outcome = streams[s].origin[8] == 'e' ? DENIED : ACTUAL]++;
		return CONTINUE;
	}
	counted[streams[s].outcome = PREFLIGHT]++;
	proxy_get_header_map_pairs(REQUEST, &at, &size);
	size = streams[s].size;
	reply.sizes[6][1] = size;
	copy(reply.text + CONSTANT, streams[s].origin, size);
	reply.text[CONSTANT + size] = 0;
	proxy_send_local_response(204, TEXT("cors_preflight"), 0, 0, (const char *)&reply, sizeof(reply.pairs) + sizeof(reply.sizes) + CONSTANT + size + 1, -1);
	return PAUSE;
}

EXPORT(proxy_on_response_headers) uint32_t response(uint32_t id, uint32_t headers, uint32_t end) {
	uint32_t at, size, s = id % OPEN;
	used = 0;
	proxy_get_header_map_pairs(RESPONSE, &at, &size);
	if (streams[s].outcome == PREFLIGHT) return CONTINUE; // our own reply, with what others add to it
	if (streams[s].outcome == ACTUAL) {
		proxy_replace_header_map_value(RESPONSE, TEXT("access-control-allow-origin"), streams[s].origin, streams[s].size);
		proxy_replace_header_map_value(RESPONSE, TEXT("access-control-allow-credentials"), TEXT("true"));
		proxy_replace_header_map_value(RESPONSE, TEXT("access-control-expose-headers"), TEXT("x-total-count"));
	}
	proxy_add_header_map_value(RESPONSE, TEXT("vary"), TEXT("origin"));
	return CONTINUE;
}

EXPORT(proxy_on_delete) void delete(uint32_t id) {}

EXPORT(proxy_on_tick) void tick(uint32_t id) {
	for (int c = ACTUAL; c <= PREFLIGHT; c++) {
		if (!counted[c]) continue;
		proxy_increment_metric(ids[c][0], counted[c]);
		proxy_increment_metric(ids[c][1], counted[c]);
		counted[c] = 0;
	}
}
