/*
 * scp_files.h - the local ends of the copy protocol: a tree that is sent, and a place where things are
 * received. Both are user pointers of a machine's functions (src/scp); who wants to watch puts functions
 * of his own before these.
 */
#ifndef NC_IO_SCP_FILES_H
#define NC_IO_SCP_FILES_H

#include "scp/sink.h"
#include "scp/source.h"

/* ---- sending ------------------------------------------------------------------------------------------ */

typedef struct nc_scp_tree nc_scp_tree;

typedef struct nc_scp_tree_options {
    const nacre_allocator *allocator;
    int at;                   /* relative paths begin here (AT_FDCWD); borrowed */
    const char *const *paths; /* borrowed */
    size_t count;
    bool recursive, preserve;
    uint32_t max_depth;
} nc_scp_tree_options;

int nc_scp_tree_new(nc_scp_tree **out, const nc_scp_tree_options *o) NACRE_MUST_CHECK;
void nc_scp_tree_free(nc_scp_tree *t); /* NULL ok */
/* The functions; user is the tree. A NOTE's status is NACRE_UNSUPPORTED when the thing is no file. */
extern const nc_scp_source_ops nc_scp_tree_ops;
/* The path of what next gave last. Borrowed until the next one. */
const char *nc_scp_tree_path(const nc_scp_tree *t);

/* ---- receiving ---------------------------------------------------------------------------------------- */

typedef struct nc_scp_place nc_scp_place;

typedef struct nc_scp_place_options {
    const nacre_allocator *allocator;
    int at;             /* a relative target begins here (AT_FDCWD); borrowed */
    const char *target; /* into it when it is a directory, else it is made or replaced */
    bool to_directory;  /* it has to be a directory */
    bool preserve;      /* times and modes; without setuid, setgid and sticky unless: */
    bool keep_special;
    int umask;        /* -1: the process's */
    bool never_waits; /* for what reads a fifo: full is an error then (EAGAIN) */
} nc_scp_place_options;

/* NACRE_IO with errno in detail: the target cannot be what it has to be. */
int nc_scp_place_new(nc_scp_place **out, const nc_scp_place_options *o,
                     nacre_error *err) NACRE_MUST_CHECK;
/* Gives up what is not whole. NULL ok. */
void nc_scp_place_free(nc_scp_place *p);
/* The functions; user is the place. */
extern const nc_scp_sink_ops nc_scp_place_ops;
/* The path of the file or directory that was announced last. Borrowed until the next one. */
const char *nc_scp_place_path(const nc_scp_place *p);

#endif
