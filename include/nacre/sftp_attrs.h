/*
 * nacre/sftp_attrs.h - what both ends of SFTP version 3 share: numbers, file attributes, statuses.
 *
 * draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL file, section 4, where it extends or deviates
 * from the draft. The numbers are the draft's SSH_FXP_*, SSH_FXF_* and SSH_FX_*.
 */
#ifndef NACRE_SFTP_ATTRS_H
#define NACRE_SFTP_ATTRS_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NACRE_SFTP_VERSION = 3 };

/* Packet types, draft section 3. */
enum {
    NACRE_FXP_INIT = 1,
    NACRE_FXP_VERSION = 2,
    NACRE_FXP_OPEN = 3,
    NACRE_FXP_CLOSE = 4,
    NACRE_FXP_READ = 5,
    NACRE_FXP_WRITE = 6,
    NACRE_FXP_LSTAT = 7,
    NACRE_FXP_FSTAT = 8,
    NACRE_FXP_SETSTAT = 9,
    NACRE_FXP_FSETSTAT = 10,
    NACRE_FXP_OPENDIR = 11,
    NACRE_FXP_READDIR = 12,
    NACRE_FXP_REMOVE = 13,
    NACRE_FXP_MKDIR = 14,
    NACRE_FXP_RMDIR = 15,
    NACRE_FXP_REALPATH = 16,
    NACRE_FXP_STAT = 17,
    NACRE_FXP_RENAME = 18,
    NACRE_FXP_READLINK = 19,
    NACRE_FXP_SYMLINK = 20,
    NACRE_FXP_STATUS = 101,
    NACRE_FXP_HANDLE = 102,
    NACRE_FXP_DATA = 103,
    NACRE_FXP_NAME = 104,
    NACRE_FXP_ATTRS = 105,
    NACRE_FXP_EXTENDED = 200,
    NACRE_FXP_EXTENDED_REPLY = 201
};

/* Status codes, draft section 7; the text is what OpenSSH's server sends. */
#define NACRE_FX_TABLE(X)                                                                          \
    X(OK, 0, "Success")                                                                            \
    X(EOF, 1, "End of file")                                                                       \
    X(NO_SUCH_FILE, 2, "No such file")                                                             \
    X(PERMISSION_DENIED, 3, "Permission denied")                                                   \
    X(FAILURE, 4, "Failure")                                                                       \
    X(BAD_MESSAGE, 5, "Bad message")                                                               \
    X(NO_CONNECTION, 6, "No connection")                                                           \
    X(CONNECTION_LOST, 7, "Connection lost")                                                       \
    X(OP_UNSUPPORTED, 8, "Operation unsupported")

enum {
#define NACRE_FX_ENUM(sym, num, text) NACRE_FX_##sym = (num),
    NACRE_FX_TABLE(NACRE_FX_ENUM)
#undef NACRE_FX_ENUM
};

/* Text and name ("SSH_FX_NO_SUCH_FILE") of a status code; any number is accepted. Static strings. */
NACRE_API const char *nacre_sftp_status_text(uint32_t code);
NACRE_API const char *nacre_sftp_status_name(uint32_t code);

/* OPEN's pflags, draft section 6.3. */
enum {
    NACRE_FXF_READ = 0x01,
    NACRE_FXF_WRITE = 0x02,
    NACRE_FXF_APPEND = 0x04,
    NACRE_FXF_CREAT = 0x08,
    NACRE_FXF_TRUNC = 0x10,
    NACRE_FXF_EXCL = 0x20
};

/* File types in attrs.permissions (POSIX numbers, whatever the system's own are). */
enum {
    NACRE_SFTP_S_IFMT = 0170000,
    NACRE_SFTP_S_IFSOCK = 0140000,
    NACRE_SFTP_S_IFLNK = 0120000,
    NACRE_SFTP_S_IFREG = 0100000,
    NACRE_SFTP_S_IFBLK = 0060000,
    NACRE_SFTP_S_IFDIR = 0040000,
    NACRE_SFTP_S_IFCHR = 0020000,
    NACRE_SFTP_S_IFIFO = 0010000
};

/* Which fields of nacre_sftp_attrs are set, draft section 5. */
#define NACRE_SFTP_ATTR_SIZE        UINT32_C(0x00000001)
#define NACRE_SFTP_ATTR_UIDGID      UINT32_C(0x00000002)
#define NACRE_SFTP_ATTR_PERMISSIONS UINT32_C(0x00000004)
#define NACRE_SFTP_ATTR_ACMODTIME   UINT32_C(0x00000008)
#define NACRE_SFTP_ATTR_EXTENDED    UINT32_C(0x80000000)

/* File attributes; all zero means "none given". Only fields whose flag is set mean anything. */
typedef struct nacre_sftp_attrs {
    uint32_t flags; /* NACRE_SFTP_ATTR_* */
    uint64_t size;
    uint32_t uid, gid;
    uint32_t permissions;  /* type and mode bits */
    uint32_t atime, mtime; /* seconds since 1970; the wire has 32 bits, unsigned */
    /* Extended pairs as they stand on the wire (string type, string data, ...); borrowed. */
    uint32_t extended_count;
    nacre_span extended;
} nacre_sftp_attrs;

/* The largest attributes without extended pairs, encoded. */
enum { NACRE_SFTP_ATTRS_MAX = 32 };

/*
 * Reads attributes from the front of bytes; *used is their encoded length. The extended pairs are
 * checked, and borrowed from bytes. Flags that the draft does not know are ignored (they carry no
 * data in version 3) and cleared. NACRE_MALFORMED when bytes end too early.
 */
NACRE_API int nacre_sftp_attrs_decode(nacre_span bytes, size_t *used,
                                      nacre_sftp_attrs *out) NACRE_MUST_CHECK;
/* Writes them; *used is the length needed, also with NACRE_TOO_LARGE (size too small). */
NACRE_API int nacre_sftp_attrs_encode(const nacre_sftp_attrs *attrs, uint8_t *out, size_t size,
                                      size_t *used) NACRE_MUST_CHECK;
/* Steps through extended pairs: rest begins as attrs->extended. False at the end. */
NACRE_API bool nacre_sftp_attrs_next(nacre_span *rest, nacre_span *type, nacre_span *data);

/* One entry of a directory or of any NAME reply. Bytes are the peer's: check before use as a path. */
typedef struct nacre_sftp_name {
    nacre_span name;
    nacre_span longname; /* text of the server's choice, mostly a line of ls -l */
    nacre_sftp_attrs attrs;
} nacre_sftp_name;

/*
 * True when name, got from a peer's directory listing, names something within that directory: not
 * empty, "." or "..", no '/', no NUL. Everything that writes locally under a peer's name asks this.
 */
NACRE_API bool nacre_sftp_name_is_plain(nacre_span name);

/*
 * A line of ls -l for a READDIR reply. user and group: names, or NULL for the numbers in attrs.
 * utc_offset: seconds that local time is ahead of UTC. A time more than half a year before or any
 * time after now shows the year in place of the clock. Peer and file bytes go in as they are: this
 * is protocol text, escape it before a terminal sees it. Always terminates; returns the length that
 * the whole needs, like snprintf.
 */
NACRE_API size_t nacre_sftp_longname(char *out, size_t size, nacre_span name,
                                     const nacre_sftp_attrs *attrs, uint64_t nlink,
                                     const char *user, const char *group, uint64_t now,
                                     int32_t utc_offset);
/*
 * The other way round: what a server's longname says, where it is a line of ls -l in any of the usual
 * ways of writing one (month or day first, ISO dates, a group's name of several words, devices).
 * NACRE_SYNTAX, and nothing is known: it is not. The spans are borrowed from longname, bytes of the
 * peer's choice; version 3 has no names of owners elsewhere. name may end in " -> target".
 */
#define NACRE_SFTP_LONGNAME_MODE  UINT32_C(1)
#define NACRE_SFTP_LONGNAME_NLINK UINT32_C(2)
#define NACRE_SFTP_LONGNAME_USER  UINT32_C(4)
#define NACRE_SFTP_LONGNAME_GROUP UINT32_C(8)
#define NACRE_SFTP_LONGNAME_SIZE  UINT32_C(16)
typedef struct nacre_sftp_longname_parts {
    uint32_t known;       /* NACRE_SFTP_LONGNAME_*: which fields mean anything */
    uint32_t permissions; /* type and mode bits */
    uint64_t nlink, size;
    nacre_span user, group; /* names, or numbers */
    nacre_span date;        /* as it stands there, without a zone as a rule */
    nacre_span name;
} nacre_sftp_longname_parts;
NACRE_API int nacre_sftp_longname_parse(nacre_span longname,
                                        nacre_sftp_longname_parts *out) NACRE_MUST_CHECK;
/* "drwxr-xr-x" and a terminator: what the permissions say, type included. */
NACRE_API void nacre_sftp_mode_text(uint32_t permissions, char out[11]);

/* limits@openssh.com, PROTOCOL 4.8. 0: the server names no limit. */
typedef struct nacre_sftp_limits {
    uint64_t max_packet; /* a whole packet without its length field */
    uint64_t max_read;   /* data of one READ  */
    uint64_t max_write;  /* data of one WRITE */
    uint64_t max_handles;
} nacre_sftp_limits;

/* statvfs@openssh.com, PROTOCOL 4.4. */
typedef struct nacre_sftp_statvfs {
    uint64_t bsize, frsize, blocks, bfree, bavail, files, ffree, favail, fsid;
    uint64_t flag; /* NACRE_SFTP_ST_* */
    uint64_t namemax;
} nacre_sftp_statvfs;

enum { NACRE_SFTP_ST_RDONLY = 1, NACRE_SFTP_ST_NOSUID = 2 };

/*
 * OpenSSH's extensions (PROTOCOL 4.3 - 4.12), and check-file of draft-ietf-secsh-filexfer-extensions-00,
 * section 3: symbol, name, the version that we mean by it ("": whatever stands there; servers list their
 * hashes with check-file). Servers announce one, two or all of check-file's names, whichever they take.
 */
#define NACRE_SFTP_EXT_TABLE(X)                                                                    \
    X(POSIX_RENAME, "posix-rename@openssh.com", "1")                                               \
    X(STATVFS, "statvfs@openssh.com", "2")                                                         \
    X(FSTATVFS, "fstatvfs@openssh.com", "2")                                                       \
    X(HARDLINK, "hardlink@openssh.com", "1")                                                       \
    X(FSYNC, "fsync@openssh.com", "1")                                                             \
    X(LSETSTAT, "lsetstat@openssh.com", "1")                                                       \
    X(LIMITS, "limits@openssh.com", "1")                                                           \
    X(EXPAND_PATH, "expand-path@openssh.com", "1")                                                 \
    X(COPY_DATA, "copy-data", "1")                                                                 \
    X(HOME_DIRECTORY, "home-directory", "1")                                                       \
    X(USERS_GROUPS, "users-groups-by-id@openssh.com", "1")                                         \
    X(CHECK_FILE, "check-file", "")                                                                \
    X(CHECK_FILE_HANDLE, "check-file-handle", "")                                                  \
    X(CHECK_FILE_NAME, "check-file-name", "")

typedef enum nacre_sftp_ext {
#define NACRE_SFTP_EXT_ENUM(sym, name, version) NACRE_SFTP_EXT_##sym,
    NACRE_SFTP_EXT_TABLE(NACRE_SFTP_EXT_ENUM)
#undef NACRE_SFTP_EXT_ENUM
        NACRE_SFTP_EXT_COUNT
} nacre_sftp_ext;

#ifdef __cplusplus
}
#endif
#endif
