/*
 * packetizer.h - bytes <-> packets (RFC 4253 6): framing, padding, sequence numbers, protection and
 * compression by direction, in place. It knows no key exchange and no message but the byte that
 * numbers it; it compiles and is tested alone.
 *
 * Down: bytes are read straight into the input queue (recv_buffer / received); next() decrypts the next
 * packet where it lies and lends its payload until the following call. Up: begin() returns a writer
 * that stands in the output queue behind room for the header; end() pads, compresses if that is on,
 * encrypts and tags right there. Many packets leave in one output() span.
 */
#ifndef NC_TRANSPORT_PACKETIZER_H
#define NC_TRANSPORT_PACKETIZER_H

#include "base/error.h"
#include "crypto/crypto.h"
#include "wire/ssh.h"
#include "wire/wr.h"

typedef struct nc_packetizer nc_packetizer;

typedef struct nc_packetizer_limits {
    size_t max_packet;  /* packet_length above it is NACRE_OVERSIZED; at most NC_MAX_PACKET */
    size_t input_room;  /* what recv_buffer lends at most when bulk flows; e.g. 256 KiB */
    size_t output_max;  /* queue cap: a programming error above it, not a peer's */
} nc_packetizer_limits; /* 0 in a field: NC_MAX_PACKET, 256 KiB, 4 MiB */

typedef struct nc_packet {
    uint8_t number;     /* first byte of the payload */
    nacre_span payload; /* number byte included; borrowed until the next nc_packetizer_next */
    uint32_t seq;
} nc_packet;

int nc_packetizer_new(nc_packetizer **out, const nacre_allocator *a, const nc_random *rnd,
                      const nc_packetizer_limits *limits) NACRE_MUST_CHECK;
void nc_packetizer_free(nc_packetizer *p);

/* ---- input ----
 * The room is behind what is queued: nothing that is lent moves. Memory that could not be had shows as
 * no room and, when the packet cannot be completed without, as NACRE_NO_MEMORY of the next step.
 */
uint8_t *nc_packetizer_recv_buffer(nc_packetizer *p, size_t *room); /* NULL, 0 when full */
int nc_packetizer_received(nc_packetizer *p, size_t n) NACRE_MUST_CHECK;
/* Before packets: one line of at most max bytes, without its LF and CR; NACRE_AGAIN, NACRE_OVERSIZED. */
int nc_packetizer_line(nc_packetizer *p, size_t max, nacre_span *line) NACRE_MUST_CHECK;
/*
 * The next packet; NACRE_AGAIN when it is not whole yet, or while input is paused. err gets the
 * sentence for NACRE_OVERSIZED, NACRE_MALFORMED, NACRE_INTEGRITY, NACRE_COMPRESSION. These are final.
 */
int nc_packetizer_next(nc_packetizer *p, nc_packet *pkt, nacre_error *err) NACRE_MUST_CHECK;
/*
 * True when as much unparsed input waits as the next step needs to get on, or a packet is lent that the
 * next step takes back: it is worth taking without new input. False while paused and after a failure.
 */
bool nc_packetizer_has_input(const nc_packetizer *p);
/* After the peer's NEWKEYS nothing is parsed until the new keys are in: pause, then set_input_keys. */
void nc_packetizer_pause_input(nc_packetizer *p);
/*
 * New keys for a direction; takes the cipher. reset_seq: strict kex (PROTOCOL 1.10) sets the sequence
 * number to 0. Counters of the direction start anew. Setting input keys ends the pause.
 */
void nc_packetizer_set_input_keys(nc_packetizer *p, nc_pktcipher *cipher, bool reset_seq);
void nc_packetizer_set_output_keys(nc_packetizer *p, nc_pktcipher *cipher, bool reset_seq);
/* zlib streams per direction (RFC 4253 6.2); on = false: none. Inflate is bounded by max_packet. */
int nc_packetizer_set_input_compression(nc_packetizer *p, bool on) NACRE_MUST_CHECK;
int nc_packetizer_set_output_compression(nc_packetizer *p, bool on) NACRE_MUST_CHECK;

/*
 * Once, before the first byte: packets have no padding (but to be 5 bytes long), and never any protection. What stays is the frame of
 * PROTOCOL.mux 9, for processes of one user that talk over a socket of their own.
 */
void nc_packetizer_set_bare(nc_packetizer *p);

/* ---- output ---- */
int nc_packetizer_raw(nc_packetizer *p, nacre_span bytes) NACRE_MUST_CHECK; /* the version line */
nc_wr *nc_packetizer_begin(nc_packetizer *p, size_t hint);
int nc_packetizer_end(nc_packetizer *p) NACRE_MUST_CHECK;
void nc_packetizer_abandon(nc_packetizer *p);
/*
 * Packets of head + string (see nc_link_ops.reserve). NACRE_UNSUPPORTED while output compression is on:
 * the caller then writes by begin/end. rooms: in *count at most; out how many. With none there is
 * nothing to commit.
 */
int nc_packetizer_reserve(nc_packetizer *p, nacre_span head, size_t max_data, size_t want,
                          nacre_room *rooms, size_t *count) NACRE_MUST_CHECK;
int nc_packetizer_commit(nc_packetizer *p, size_t n) NACRE_MUST_CHECK;
nacre_span nc_packetizer_output(const nc_packetizer *p);
void nc_packetizer_sent(nc_packetizer *p, size_t n);

/* ---- counters ---- */
typedef struct nc_packetizer_counters {
    uint32_t seq_in, seq_out;             /* of the next packet */
    uint64_t key_bytes_in, key_bytes_out; /* under the present keys */
    uint64_t key_packets_in, key_packets_out;
    uint64_t bytes_in, bytes_out, packets_in, packets_out; /* in all */
    size_t output_len;                                     /* queued */
    size_t input_len; /* received and not taken yet: parts of packets, or packets behind a pause */
    size_t memory_in, memory_out;
    bool seq_wrapped_in,
        seq_wrapped_out; /* passed 2^32 under the present keys: fatal before strict kex */
} nc_packetizer_counters;
/* What has come and was not read yet; valid until the next call. */
/* Bytes of a packet that was lent stay as they are until nc_packetizer_recv_buffer; false: until the next packet. */
bool nc_packetizer_keeps(const nc_packetizer *p, nacre_span bytes);
nacre_span nc_packetizer_waiting(const nc_packetizer *p);
void nc_packetizer_get_counters(const nc_packetizer *p, nc_packetizer_counters *out);

#endif
