/* Chunks: plain bytes ↔ stored bytes; and gzip files. By zlib, and by libdeflate,
 * which inflates whole chunks 2.5 times as fast and is used where it is installed. What it makes is
 * believed only as far as digests say, and zlib has the last word. */
#ifndef SLUICE_FORMAT_CODEC_H
#define SLUICE_FORMAT_CODEC_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/cuts.h"
#include "common/format/index.h"

/* One thread's compressor, reused from chunk to chunk. Levels are 1 to 9. */
struct deflater;
int deflater_new(int level, struct deflater **out, struct err *e);
void deflater_free(struct deflater **d);

/* Makes the index entry (but for the offsets) and the stored bytes of a chunk of 1 to CHUNK_BYTES
 * plain bytes. stored holds CHUNK_STORED_MAX; *stored_data is set to stored, or to plain's bytes
 * where those are what is stored. A full-size chunk of zeros becomes a run of one. The same bytes
 * give the same result whatever the deflater was used for before. */
int chunk_encode(struct deflater *d, struct span plain, uint8_t *stored, struct chunk *out,
	const uint8_t **stored_data, struct err *e);

/* The same, so that it can be cut between its blocks (cuts.h), which takes some hundredth more. Of
 * a run *cuts is not set. */
int chunk_encode_cut(struct deflater *d, struct span plain, uint8_t *stored, struct chunk *out,
	const uint8_t **stored_data, struct cuts *cuts, struct err *e);

/* Checks stored bytes against c->stored, and only then inflates them into plain (c->size bytes, no
 * more, no less, nothing behind the stream, no dictionary), and checks the result against c->plain.
 * Raw chunks are copied and checked likewise; runs, and chunks of which is not known as what they
 * are stored, are not for this. ERR_UNTRUSTED for a wrong digest, ERR_MALFORMED for a stream that
 * is signed and still no zlib stream of that size. What is in plain after a failure is nobody's. */
struct inflater;
int inflater_new(struct inflater **out, struct err *e);
int inflater_new_zlib(struct inflater **out, struct err *e); /* without libdeflate in any case */
void inflater_free(struct inflater **i);
int chunk_decode(struct inflater *i, const struct chunk *c, struct span stored, uint8_t *plain,
	struct err *e);

/* The same for up to CODEC_CHUNKS chunks at once, which hashes them side by side. Each is done
 * whatever becomes of the others; class says how it went. -1 where one failed: e is that of
 * *failed, the first whose class is other than ERR_UNTRUSTED, or of those the first. */
enum { CODEC_CHUNKS = 64 };
struct chunk_job {
	const struct chunk *c;
	struct span stored;
	uint8_t *plain;
	enum err_class class;
};
int chunks_decode(
	struct inflater *i, struct chunk_job *jobs, size_t n, size_t *failed, struct err *e);

/* Completes a chunk of which some blocks are in plain already, where they belong, and the others
 * are lacking (a bit for each): stored has their stored bytes back to back, which are checked by
 * their seals before they are inflated, and plain is checked against c->plain in the end:
 * ERR_UNTRUSTED for either, ERR_MALFORMED for a stream that is sealed and still none, or that is
 * not cut where it was flushed: so whether a block is good does not depend on which others are
 * lacking. What is in plain after a failure is nobody's. */
int chunk_complete(struct inflater *i, const struct chunk *c, const struct cuts *cuts,
	unsigned lacking, struct span stored, uint8_t *plain, struct err *e);

/* Reads gzip files (RFC 1952), which packers are given as inputs, piece by piece: one member after
 * the other, each checked against its own CRC and length at its end. (libarchive 3.6 reads them too
 * but checks neither.) Zeros behind the last member are padding. */
struct gunzip;
int gunzip_new(struct gunzip **out, struct err *e);
void gunzip_free(struct gunzip **g);

/* Takes bytes off the front of in, and sets *made to how many of out's room were filled: it stops
 * when in is empty or out is full. ERR_MALFORMED for what is damaged or no gzip. */
int gunzip_step(
	struct gunzip *g, struct span *in, uint8_t *out, size_t room, size_t *made, struct err *e);

/* At the end of the input: ERR_MALFORMED within a member, or when there was none. */
int gunzip_end(const struct gunzip *g, struct err *e);

/* The zlib that is linked in, for the manifest ("1.2.13"). */
const char *codec_zlib_version(void);

#endif
