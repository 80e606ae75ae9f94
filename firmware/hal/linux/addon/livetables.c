/*
 * Live tables: a SQLite module over the rows that the dataplane writes, in shared memory mapped read-only.
 *
 *   CREATE VIRTUAL TABLE temp.live_sessions USING twinwall_live('/dev/shm/twinwall-A1', sessions [, 'A1,A2,B1,B2'])
 *
 *   shared rows ──snapshot (sequence lock)──► cursor's own copy ──► columns
 *
 * The dataplane never notices: nothing is locked, nothing is written. Each row is copied between two looks at its lock
 * word, with the fences that JavaScript lacks, so no row is ever seen half changed. A row whose writer died in the middle
 * is left out after SPINS tries. Which tables and columns there are is data, generated from the layout (livetables_layout.h).
 *
 * The file is checked before it is believed: size, magic, layout hash at connection, and again before every scan, because
 * reading a mapped page behind a truncated file's end is a SIGBUS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1

enum column_kind { COLUMN_ROW, COLUMN_ROW_NAME, COLUMN_I32, COLUMN_U32, COLUMN_F64, COLUMN_BITS, COLUMN_ADDRESS, COLUMN_MAC, COLUMN_PORT };
enum lock_kind { LOCK_NONE, LOCK_GENERATION, LOCK_SEQUENCE };

struct column {
  const char *name;
  enum column_kind kind;
  int at, shift, bits, name_count;
  const char *const *names;
};

struct layout {
  const char *name;
  uint32_t offset;
  int rows; /* -1: as many as the header says */
  int stride;
  enum lock_kind lock;
  int used_at;
  uint32_t used_mask; /* 0: every row is shown */
  int column_count;
  const struct column *columns;
  const char *declaration;
};

#include "livetables_layout.h"

#define LAYOUTS ((int)(sizeof layouts / sizeof layouts[0]))
#define SPINS 4096
#define FILTERS 8
#define STRIDE_MOST 1024
#define HEADER_BYTES 4096

struct live {
  sqlite3_vtab base;
  const struct layout *layout;
  char *file;
  int descriptor;
  size_t bytes;
  const uint32_t *words;
  sqlite3_int64 rows;
  /* What units are called, by number, cut from `unit_text`. */
  const char *units[UNITS];
  char *unit_text;
};

/* One equality that a scan tests itself, before it copies a row. */
struct filter {
  int at;
  uint32_t mask, value;
};

struct cursor {
  sqlite3_vtab_cursor base;
  sqlite3_int64 row, end;
  int filter_count;
  struct filter filters[FILTERS];
  /* Eight bytes is what sqlite3_malloc promises, and what `copy_row` needs. */
  uint32_t snapshot[STRIDE_MOST] __attribute__((aligned(8)));
};

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A quoted or bare module argument as plain text; the caller frees it. */
static char *plain_argument(const char *text) {
  while (*text == ' ') text++;
  if (*text != '\'' && *text != '"') return sqlite3_mprintf("%s", text);
  const char quote = *text++;
  char *plain = sqlite3_mprintf("%s", text);
  if (plain == 0) return 0;
  char *to = plain;
  for (const char *from = plain; *from != 0; from++) {
    if (*from == quote && *++from != quote) break;
    *to++ = *from;
  }
  *to = 0;
  return plain;
}

/* Cuts "A1,A2,B1,B2" into the names of units 1 and up; units that it does not reach keep their default. */
static void name_units(struct live *live) {
  for (int k = 0; k < UNITS; k++) live->units[k] = names_units[k];
  char *text = live->unit_text;
  for (int k = 1; k < UNITS && text != 0; k++) {
    char *comma = strchr(text, ',');
    if (*text != 0 && *text != ',') live->units[k] = text;
    if (comma != 0) *comma++ = 0;
    text = comma;
  }
}

static const char *const *names_of(const struct live *live, const struct column *column) {
  return column->names == names_units ? live->units : column->names;
}

static const struct layout *find_layout(const char *name) {
  for (int k = 0; k < LAYOUTS; k++)
    if (strcmp(layouts[k].name, name) == 0) return &layouts[k];
  return 0;
}

/* The file's end as it is now, or -1. */
static sqlite3_int64 size_now(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? (sqlite3_int64)status.st_size : -1;
}

/* What is wrong with the area, as a message to free, or 0 and the table's rows. Touches nothing behind the file's end. */
static char *area_fault(struct live *live) {
  if (size_now(live->descriptor) < (sqlite3_int64)live->bytes || live->bytes < HEADER_BYTES)
    return sqlite3_mprintf("memory-truncated: %s is shorter than its tables", live->file);
  if (__atomic_load_n(&live->words[HEADER_MAGIC], __ATOMIC_ACQUIRE) != LAYOUT_MAGIC)
    return sqlite3_mprintf("memory-not-ours: %s is not (or not yet) a unit's memory", live->file);
  const uint32_t layout = live->words[HEADER_LAYOUT];
  if (layout != LAYOUT_HASH)
    return sqlite3_mprintf("layout-mismatch: %s was written with layout %08x, this program reads %08x", live->file, layout, LAYOUT_HASH);
  const int32_t sessions = (int32_t)live->words[HEADER_SESSIONS];
  const sqlite3_int64 rows = live->layout->rows >= 0 ? live->layout->rows : sessions;
  if (sessions < 0 || (size_t)live->layout->offset + (size_t)rows * (size_t)live->layout->stride * 4 > live->bytes)
    return sqlite3_mprintf("memory-truncated: %s is shorter than its %d sessions need", live->file, sessions);
  live->rows = rows;
  return 0;
}

static void close_live(struct live *live) {
  if (live->words != 0) munmap((void *)live->words, live->bytes);
  if (live->descriptor >= 0) close(live->descriptor);
  sqlite3_free(live->file);
  sqlite3_free(live->unit_text);
  sqlite3_free(live);
}

/* Opens and maps the area, or says why not. */
static char *open_area(struct live *live) {
  live->descriptor = open(live->file, O_RDONLY | O_CLOEXEC);
  if (live->descriptor < 0) return sqlite3_mprintf("memory-absent: %s: %s", live->file, strerror(errno));
  const sqlite3_int64 size = size_now(live->descriptor);
  if (size < HEADER_BYTES) return sqlite3_mprintf("memory-truncated: %s has %lld bytes", live->file, size);
  live->bytes = (size_t)size;
  void *mapped = mmap(0, live->bytes, PROT_READ, MAP_SHARED, live->descriptor, 0);
  if (mapped == MAP_FAILED) return sqlite3_mprintf("memory-absent: %s cannot be mapped: %s", live->file, strerror(errno));
  live->words = mapped;
  return area_fault(live);
}

static int live_connect(sqlite3 *database, void *unused, int count, const char *const *arguments, sqlite3_vtab **out, char **error) {
  (void)unused;
  if (count != 5 && count != 6) {
    *error = sqlite3_mprintf("twinwall_live wants two or three arguments: file, table, names of units");
    return SQLITE_ERROR;
  }
  char *name = plain_argument(arguments[4]);
  struct live *live = sqlite3_malloc(sizeof *live);
  if (name == 0 || live == 0) {
    sqlite3_free(name);
    sqlite3_free(live);
    return SQLITE_NOMEM;
  }
  memset(live, 0, sizeof *live);
  live->descriptor = -1;
  live->file = plain_argument(arguments[3]);
  live->unit_text = count == 6 ? plain_argument(arguments[5]) : 0;
  name_units(live);
  live->layout = find_layout(name);
  if (live->layout == 0) *error = sqlite3_mprintf("no live table is called %s", name);
  else *error = open_area(live);
  sqlite3_free(name);
  if (*error != 0) {
    close_live(live);
    return SQLITE_ERROR;
  }
  const int result = sqlite3_declare_vtab(database, live->layout->declaration);
  if (result != SQLITE_OK) close_live(live);
  else *out = &live->base;
  return result;
}

static int live_disconnect(sqlite3_vtab *table) {
  close_live((struct live *)table);
  return SQLITE_OK;
}

/* ── planning ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int can_filter(const struct column *column) {
  return column->kind == COLUMN_I32 || column->kind == COLUMN_U32 || column->kind == COLUMN_BITS;
}

/*
 * Equalities on words and parts go down into the scan; `row = n` reads one row. SQLite tests them again (omit stays 0), so
 * a value that the scan cannot compare is simply not used. index string: one column number per argument.
 */
static int live_best_index(sqlite3_vtab *table, sqlite3_index_info *index) {
  const struct live *live = (const struct live *)table;
  char used[FILTERS * 12] = "";
  int arguments = 0, length = 0;
  double cost = (double)live->rows + 1;
  for (int k = 0; k < index->nConstraint && arguments < FILTERS; k++) {
    const int column = index->aConstraint[k].iColumn;
    if (!index->aConstraint[k].usable || index->aConstraint[k].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    const int is_row = column <= 0;
    if (!is_row && !can_filter(&live->layout->columns[column])) continue;
    if (!is_row && live->layout->columns[column].names != 0 && strcmp(sqlite3_vtab_collation(index, k), "BINARY") != 0) continue;
    index->aConstraintUsage[k].argvIndex = ++arguments;
    length += snprintf(used + length, sizeof used - (size_t)length, "%d ", is_row ? 0 : column);
    cost = is_row ? 1 : cost / 8 + 1;
  }
  index->idxStr = sqlite3_mprintf("%s", used);
  index->needToFreeIdxStr = 1;
  index->estimatedCost = cost;
  index->estimatedRows = (sqlite3_int64)cost;
  return index->idxStr == 0 ? SQLITE_NOMEM : SQLITE_OK;
}

/* ── scanning ────────────────────────────────────────────────────────────────────────────────────────────────── */

static int passes(const struct live *live, const struct cursor *cursor, const uint32_t *row) {
  const struct layout *layout = live->layout;
  if (layout->used_mask != 0 && (__atomic_load_n(&row[layout->used_at], __ATOMIC_RELAXED) & layout->used_mask) == 0) return 0;
  for (int k = 0; k < cursor->filter_count; k++)
    if ((__atomic_load_n(&row[cursor->filters[k].at], __ATOMIC_RELAXED) & cursor->filters[k].mask) != cursor->filters[k].value) return 0;
  return 1;
}

static void copy_row(uint32_t *to, const uint32_t *from, int stride) {
  /* Eight bytes at a time, so that no Float64 counter is ever copied in halves. */
  const uint64_t *source = (const uint64_t *)from;
  uint64_t *target = (uint64_t *)to;
  for (int k = 0; k < stride / 2; k++) target[k] = __atomic_load_n(&source[k], __ATOMIC_RELAXED);
}

/* Copies a row whole; 0: its writer holds it (or died holding it). */
static int snapshot_row(const struct live *live, struct cursor *cursor, const uint32_t *row) {
  if (live->layout->lock == LOCK_NONE) {
    copy_row(cursor->snapshot, row, live->layout->stride);
    return 1;
  }
  for (int spin = 0; spin < SPINS; spin++) {
    const uint32_t before = __atomic_load_n(&row[0], __ATOMIC_ACQUIRE);
    if (live->layout->lock == LOCK_GENERATION ? (before & 1) != 0 : before == 0) continue;
    copy_row(cursor->snapshot, row, live->layout->stride);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (before == __atomic_load_n(&row[0], __ATOMIC_RELAXED)) return 1;
  }
  return 0;
}

/* Goes on to the next row that is in use, whole and passes the filters. */
static void settle(struct cursor *cursor) {
  const struct live *live = (const struct live *)cursor->base.pVtab;
  const uint32_t *base = live->words + live->layout->offset / 4;
  for (; cursor->row < cursor->end; cursor->row++) {
    const uint32_t *row = base + cursor->row * live->layout->stride;
    if (!passes(live, cursor, row)) continue;
    if (snapshot_row(live, cursor, row) && passes(live, cursor, cursor->snapshot)) return;
  }
}

static int live_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out) {
  (void)table;
  struct cursor *cursor = sqlite3_malloc(sizeof *cursor);
  if (cursor == 0) return SQLITE_NOMEM;
  memset(cursor, 0, sizeof *cursor);
  *out = &cursor->base;
  return SQLITE_OK;
}

static int live_close(sqlite3_vtab_cursor *cursor) {
  sqlite3_free(cursor);
  return SQLITE_OK;
}

/* The number that a column's name stands for, or -1. */
static sqlite3_int64 number_of_name(const struct live *live, const struct column *column, const char *text) {
  const char *const *names = names_of(live, column);
  for (int k = 0; k < column->name_count; k++)
    if (strcmp(names[k], text) == 0) return k;
  return -1;
}

/* Adds an equality; nothing happens where the value is not of the column's kind, and an impossible one ends the scan. */
static void add_filter(struct cursor *cursor, const struct column *column, sqlite3_value *value) {
  const uint32_t ones = column->kind == COLUMN_BITS ? (uint32_t)(((uint64_t)1 << column->bits) - 1) : 0xffffffffu;
  const int type = sqlite3_value_type(value);
  sqlite3_int64 number;
  if (column->names != 0) {
    if (type != SQLITE_TEXT) return;
    number = number_of_name((const struct live *)cursor->base.pVtab, column, (const char *)sqlite3_value_text(value));
    if (number < 0) return;
  } else {
    if (type != SQLITE_INTEGER) return;
    number = sqlite3_value_int64(value);
    const int fits = column->kind == COLUMN_I32 ? number == (int32_t)number : number >= 0 && number <= ones;
    if (!fits) {
      cursor->end = 0;
      return;
    }
  }
  struct filter *filter = &cursor->filters[cursor->filter_count++];
  filter->at = column->at;
  filter->mask = ones << column->shift;
  filter->value = (uint32_t)number << column->shift;
}

static int live_filter(sqlite3_vtab_cursor *base, int index, const char *used, int count, sqlite3_value **values) {
  (void)index;
  struct cursor *cursor = (struct cursor *)base;
  struct live *live = (struct live *)base->pVtab;
  char *fault = area_fault(live);
  if (fault != 0) {
    sqlite3_free(live->base.zErrMsg);
    live->base.zErrMsg = fault;
    return SQLITE_ERROR;
  }
  cursor->row = 0;
  cursor->end = live->rows;
  cursor->filter_count = 0;
  for (int k = 0; k < count; k++) {
    int column = 0, length = 0;
    if (sscanf(used, "%d %n", &column, &length) < 1) break;
    used += length;
    if (column > 0) {
      add_filter(cursor, &live->layout->columns[column], values[k]);
    } else if (sqlite3_value_type(values[k]) == SQLITE_INTEGER) {
      const sqlite3_int64 row = sqlite3_value_int64(values[k]);
      if (row < cursor->row || row >= cursor->end) cursor->end = 0;
      else cursor->row = row, cursor->end = row + 1;
    }
  }
  settle(cursor);
  return SQLITE_OK;
}

static int live_next(sqlite3_vtab_cursor *base) {
  struct cursor *cursor = (struct cursor *)base;
  cursor->row++;
  settle(cursor);
  return SQLITE_OK;
}

static int live_eof(sqlite3_vtab_cursor *base) {
  const struct cursor *cursor = (const struct cursor *)base;
  return cursor->row >= cursor->end;
}

static int live_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *row) {
  *row = ((struct cursor *)base)->row;
  return SQLITE_OK;
}

/* ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────── */

static void result_number(sqlite3_context *context, const struct live *live, const struct column *column, sqlite3_int64 number) {
  if (column->names != 0 && number >= 0 && number < column->name_count)
    sqlite3_result_text(context, names_of(live, column)[number], -1, SQLITE_TRANSIENT);
  else sqlite3_result_int64(context, number);
}

static void result_double(sqlite3_context *context, const uint32_t *words) {
  double value;
  memcpy(&value, words, sizeof value);
  /* Counters are whole: an integer prints without ".0". */
  if (value >= -9007199254740992.0 && value <= 9007199254740992.0 && value == (double)(sqlite3_int64)value)
    sqlite3_result_int64(context, (sqlite3_int64)value);
  else sqlite3_result_double(context, value);
}

static void result_address(sqlite3_context *context, const uint8_t *bytes) {
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static const uint8_t none[16];
  char text[INET6_ADDRSTRLEN];
  if (memcmp(bytes, none, sizeof none) == 0) return;
  if (memcmp(bytes, mapped, sizeof mapped) == 0) inet_ntop(AF_INET, bytes + 12, text, sizeof text);
  else inet_ntop(AF_INET6, bytes, text, sizeof text);
  sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void result_mac(sqlite3_context *context, const uint8_t *bytes) {
  char text[18];
  snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
  sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static int live_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
  const struct cursor *cursor = (const struct cursor *)base;
  const struct live *live = (const struct live *)base->pVtab;
  const struct column *column = &live->layout->columns[number];
  const uint32_t *words = &cursor->snapshot[column->at];
  const uint8_t *bytes = (const uint8_t *)words;
  switch (column->kind) {
    case COLUMN_ROW: sqlite3_result_int64(context, cursor->row); break;
    case COLUMN_ROW_NAME: result_number(context, live, column, cursor->row); break;
    case COLUMN_I32: result_number(context, live, column, (int32_t)*words); break;
    case COLUMN_U32: result_number(context, live, column, *words); break;
    case COLUMN_F64: result_double(context, words); break;
    case COLUMN_BITS: result_number(context, live, column, (*words >> column->shift) & (uint32_t)(((uint64_t)1 << column->bits) - 1)); break;
    case COLUMN_ADDRESS: result_address(context, bytes); break;
    case COLUMN_MAC: result_mac(context, bytes); break;
    case COLUMN_PORT: sqlite3_result_int(context, bytes[column->shift / 8] << 8 | bytes[column->shift / 8 + 1]); break;
  }
  return SQLITE_OK;
}

static sqlite3_module live_module = {
    .iVersion = 2,
    .xCreate = live_connect,
    .xConnect = live_connect,
    .xBestIndex = live_best_index,
    .xDisconnect = live_disconnect,
    .xDestroy = live_disconnect,
    .xOpen = live_open,
    .xClose = live_close,
    .xFilter = live_filter,
    .xNext = live_next,
    .xEof = live_eof,
    .xColumn = live_column,
    .xRowid = live_rowid,
};

int sqlite3_livetables_init(sqlite3 *database, char **error, const sqlite3_api_routines *api) {
  (void)error;
  SQLITE_EXTENSION_INIT2(api);
  return sqlite3_create_module(database, "twinwall_live", &live_module, 0);
}
