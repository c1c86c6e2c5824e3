/*
 * scp_script.h - a source that follows a script and a sink that writes down what it was told, for tests of
 * the copy protocol's machines.
 */
#ifndef TEST_SCP_SCRIPT_H
#define TEST_SCP_SCRIPT_H

#include "scp/sink.h"
#include "scp/source.h"

/*
 * One thing that a source sends. kind as in nc_scp_record; data of a FILE is made from its size; missing
 * bytes are not there when it is read.
 */
typedef struct script_thing {
    nc_scp_kind kind;
    const char *name;
    uint32_t mode;
    uint64_t size, missing;
    bool has_times;
    uint64_t mtime, atime;
    const char *note;
} script_thing;

typedef struct script {
    const script_thing *things;
    size_t count, next;
    const script_thing *now;
    uint64_t done;
    int depth;
    char log[16384]; /* what became of them, a line each */
} script;

extern const nc_scp_source_ops script_source_ops;

/* What a sink was told, a line each; refuses the names in refuse (blank-separated). */
typedef struct journal {
    char log[16384];
    const char *refuse;
    const char *full;   /* writing to this one fails */
    const char *cancel; /* announcing, writing or ending this one ends all */
    char name[256];
    uint64_t size, done;
    bool bad; /* data is not what the script makes */
} journal;

extern const nc_scp_sink_ops journal_sink_ops;

/* The byte of a file's data at an offset. */
uint8_t script_byte(const char *name, uint64_t offset);

/* Output of a machine under test, collected. */
typedef struct collector {
    uint8_t bytes[65536];
    size_t len;
    uint64_t consumed;
    size_t budget;           /* how much it takes */
    int write_rc, credit_rc; /* what its calls return, NACRE_OK unless set */
} collector;
void collector_pipe(collector *c, nacre_pipe *out);

#endif
