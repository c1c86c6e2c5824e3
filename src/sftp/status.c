/*
 * status.c - the names of numbers: status codes and OpenSSH's extensions.
 */
#include "sftp/sftp.h"

typedef struct status_row {
    uint32_t code;
    const char *name;
    const char *text;
} status_row;

static const status_row status_rows[] = {
#define ROW(sym, num, text) {num, "SSH_FX_" #sym, text},
    NACRE_FX_TABLE(ROW)
#undef ROW
};

typedef struct ext_row {
    const char *name;
    const char *version;
} ext_row;

static const ext_row ext_rows[NACRE_SFTP_EXT_COUNT] = {
#define ROW(sym, name, version) {name, version},
    NACRE_SFTP_EXT_TABLE(ROW)
#undef ROW
};

static const status_row *find_status(uint32_t code)
{
    for (size_t i = 0; i < sizeof(status_rows) / sizeof(status_rows[0]); i++) {
        if (status_rows[i].code == code) {
            return &status_rows[i];
        }
    }
    return NULL;
}

const char *nacre_sftp_status_text(uint32_t code)
{
    const status_row *row = find_status(code);
    return row ? row->text : "Unknown status";
}

const char *nacre_sftp_status_name(uint32_t code)
{
    const status_row *row = find_status(code);
    return row ? row->name : "SSH_FX_?";
}

const char *nc_sftp_ext_name(nacre_sftp_ext ext)
{
    return ext < NACRE_SFTP_EXT_COUNT ? ext_rows[ext].name : "";
}

const char *nc_sftp_ext_version(nacre_sftp_ext ext)
{
    return ext < NACRE_SFTP_EXT_COUNT ? ext_rows[ext].version : "";
}
