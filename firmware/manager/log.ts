// One line per happening. People read text; machines read JSON, with the same fields.

export type Severity = "information" | "notice" | "warning" | "error";
export type Fields = Readonly<Record<string, string | number | boolean>>;

/** A happening: `code` is stable, `text` is a sentence. */
export interface Happening {
  /** Time of day, ISO 8601. */
  readonly at: string;
  readonly unit: string;
  readonly severity: Severity;
  readonly code: string;
  readonly text: string;
  readonly fields: Fields;
}

export interface Log {
  note(severity: Severity, code: string, text: string, fields?: Fields): void;
}

/** A log that hands each happening to every listener (the console's line, the store). */
export function createLog(unit: string, now: () => Date, listeners: readonly ((happening: Happening) => void)[]): Log {
  return {
    note(severity, code, text, fields = {}) {
      const happening: Happening = { at: now().toISOString(), unit, severity, code, text, fields };
      for (const listener of listeners) listener(happening);
    },
  };
}

/** `2027-01-01T00:00:00.000Z A1 warning dataplane-exited: The dataplane …` */
export function formatText(happening: Happening): string {
  return `${happening.at} ${happening.unit} ${happening.severity} ${happening.code}: ${happening.text}`;
}

export function formatJson(happening: Happening): string {
  const { fields, ...rest } = happening;
  return JSON.stringify({ ...rest, ...fields });
}
