// The face of native.mjs for TypeScript: it is JavaScript because it also runs on Node 20, before anything is installed.

export interface NativeTarget {
  readonly compiler: string;
  /** More arguments of the compiler. */
  readonly options: readonly string[];
  /** Directory of the products. */
  readonly output: string;
  /** Node's headers. */
  readonly headers: string;
}

/** Builds what is out of date; returns the paths of the products. */
export function buildNative(options?: { readonly log?: (line: string) => void; readonly target?: NativeTarget }): {
  readonly addon: string;
  readonly program: string | null;
  readonly liveTables: string | null;
};
