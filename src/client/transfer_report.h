/*
 * transfer_report.h - filling a nacre_sftp_report, for every transfer that has one.
 */
#ifndef NC_CLIENT_TRANSFER_REPORT_H
#define NC_CLIENT_TRANSFER_REPORT_H

#include "nacre/sftp_transfer.h"

void nc_report_init(nacre_sftp_report *r, const nacre_allocator *alloc);
/*
 * Counts an item that is over, and keeps a copy of one that was skipped or failed, up to 10,000 of them.
 * link: a symbolic link was made. Without memory it is counted and not kept.
 */
void nc_report_add(nacre_sftp_report *r, const nacre_sftp_item *item, bool link);

#endif
